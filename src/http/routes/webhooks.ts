/** `/v1/jobs/{id}/webhook`: whether the receiver of a job's end was told, and how each attempt went. */
import type { WebhookAttempt } from "../../jobs/webhook.ts";
import { Refusal } from "../../protocol/error.ts";
import type { WebhookDelivery, WebhookObject } from "../../protocol/webhooks.ts";
import { jsonResponse, type Call, type HttpServices } from "../call.ts";
import { ownJob } from "./jobs.ts";

function toDelivery({ attempt, at, tookMs, status, error }: WebhookAttempt): WebhookDelivery {
  const facts = { attempt, at: new Date(at).toISOString(), tookMs };
  return status === null ? { ...facts, ...(error === null ? {} : { error }) } : { ...facts, status };
}

export async function readWebhook(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  if (job.webhookUrl === null) throw new Refusal("not_found", "The job has no webhook.");
  const found = await services.store.webhook(job.id);
  const body: WebhookObject = {
    url: job.webhookUrl,
    // Before the job has ended nothing is stored of it.
    state: found?.webhook.state ?? "pending",
    attempts: found?.webhook.attempts ?? 0,
    deliveries: (found?.attempts ?? []).map(toDelivery),
  };
  return jsonResponse(200, body);
}
