/** What the server says about itself: job types, health, readiness, metrics, and its contract by machine and for people. */
import { Refusal } from "../../protocol/error.ts";
import { EXPOSITION_TYPE } from "../../telemetry/exposition.ts";
import type { Probe } from "../../telemetry/probe.ts";
import { authenticate, authenticateMachine, jsonResponse, type Call, type HttpServices } from "../call.ts";
import type { DocumentName, Documents } from "../documents/documents.ts";

/** What these routes need beside the services of all routes. */
export interface AboutServices extends HttpServices {
  /** Whether the storage confirms a write, as of a moment ago. */
  readonly storageWrites: Probe;
  /** Whether there is room for what is to be stored. */
  readonly diskLevel: () => "ok" | "low" | "full";
  /** Whether the nodes of the installation hear each other; one that is alone does. */
  readonly hearsOthers: () => boolean;
  /** The text of a scrape. */
  readonly scrape: () => Promise<string>;
  readonly documents: Documents;
  /** No user tokens are configured. */
  readonly openMode: boolean;
}

export async function listTypes(services: HttpServices, call: Call): Promise<Response> {
  await authenticate(services, call);
  return jsonResponse(200, { items: services.registry.describe() });
}

/** The process answers. */
export async function live(): Promise<Response> {
  return jsonResponse(200, { status: "ok" });
}

/**
 * It takes work: the storage confirms writes and nobody told the server to stop. Without room on the disk it is still
 * ready for whoever reads, resumes and cancels; that new jobs are refused is said in the body. A node that does not hear
 * the others is late with what they do, and whoever takes it away makes nothing better.
 */
export async function ready(services: AboutServices): Promise<Response> {
  if (services.draining()) throw new Refusal("draining", "The server is shutting down.");
  if (services.cutOff() || !(await services.storageWrites())) {
    throw new Refusal("storage_unavailable", "The storage did not confirm a write in time.");
  }
  const level = services.diskLevel();
  const lacks = {
    ...(level === "ok" ? {} : { disk: level }),
    ...(services.hearsOthers() ? {} : { backplane: "unhealthy" as const }),
  };
  const isWhole = Object.keys(lacks).length === 0;
  return jsonResponse(200, isWhole ? { status: "ready" } : { status: "degraded", ...lacks });
}

/** In open mode everybody who reaches the server may scrape it, as they may do everything else; else an operator. */
async function authorizeScrape(services: AboutServices, call: Call): Promise<void> {
  if (!services.openMode) await authenticateMachine(services, call, "admin");
}

export async function metrics(services: AboutServices, call: Call): Promise<Response> {
  await authorizeScrape(services, call);
  return new Response(await services.scrape(), {
    headers: { "Content-Type": EXPOSITION_TYPE, "Cache-Control": "no-store" },
  });
}

/** The route that answers with this document; `If-None-Match` spares sending it again. */
export function documentRoute(
  name: DocumentName,
): (services: AboutServices, call: Call) => Promise<Response> {
  return async ({ documents }, call) => {
    const { bytes, headers } = await documents(name);
    const { ETag = "", "Cache-Control": caching = "" } = headers;
    const known =
      call.req
        .header("if-none-match")
        ?.split(",")
        .map((one) => one.trim()) ?? [];
    const isKnown = known.some((one) => one === "*" || one.replace(/^W\//, "") === ETag);
    // RFC 9110 section 15.4.5: what the answer would have said of caching, and nothing of a body that is not there.
    if (isKnown) return new Response(null, { status: 304, headers: { ETag, "Cache-Control": caching } });
    return new Response(bytes, { headers });
  };
}
