/** What the server says about itself: job types, health, readiness. */
import { authenticate, jsonResponse, type Call, type HttpServices } from "../call.ts";

export async function listTypes(services: HttpServices, call: Call): Promise<Response> {
  await authenticate(services, call);
  return jsonResponse(200, { items: services.registry.describe() });
}

/** The process answers. */
export async function live(): Promise<Response> {
  return jsonResponse(200, { status: "ok" });
}

/** It takes work: the storage answers and nobody told it to stop. */
export async function ready(services: HttpServices): Promise<Response> {
  if (services.draining()) return jsonResponse(503, { status: "draining" }, { "Retry-After": "1" });
  return jsonResponse(200, { status: "ready" });
}
