/** What a checker may find wrong: a closed list, each kind a promise of PROTOCOL section 1 that was not kept. */

export type FlawKind =
  /** An accepted job that the server does not know, or that never reached its end. */
  | "lost"
  /** Two jobs for one key, a job that nobody handed in, or an event that came twice. */
  | "duplicated"
  /** An entry that is missing, in a log or in what a connection brought. */
  | "gap"
  /** The same `seq` with other content than before. */
  | "contradicted"
  /** An entry behind the terminal one. */
  | "after_terminal"
  /** A job that ended otherwise than its input says. */
  | "wrong_result"
  /** A job that failed because of restarts, with lost leases left. */
  | "failed_by_restart"
  /** A log that follows no possible life of a job. */
  | "malformed"
  /** The database itself is damaged. */
  | "damaged";

export interface Flaw {
  readonly kind: FlawKind;
  /** One sentence with what was found where. */
  readonly text: string;
}
