/** What a parent and its children tell each other over the line between them; both are of one program and version. */

/** The first thing a child is told. Its configuration it reads by itself, from the same flags, variables and file. */
export interface ChildStart {
  /** Its name among the nodes. */
  readonly node: string;
  /** Which all of them share; 0 for the one that finds it. */
  readonly port: number;
  /** Whether a person reads the log. */
  readonly pretty: boolean;
}

export type ToChild =
  | { readonly start: ChildStart }
  /** This one ends, the others go on. */
  | { readonly leave: true }
  /** All of them end: runs first. */
  | { readonly stop: true }
  /** No run is left anywhere: connections may be closed. */
  | { readonly close: true };

export type FromChild =
  /** It is there, and can be told what to do. */
  | { readonly here: true }
  /** It listens and is ready. */
  | { readonly ready: { readonly url: string } }
  /** It got a signal to end. */
  | { readonly signaled: true }
  /** None of its runs is left. */
  | { readonly drained: true }
  /** It was asked over its API to end the server. */
  | { readonly drainAsked: true };

/** The name under which this program is started as a child. */
export const CHILD_COMMAND = "serve-child";
