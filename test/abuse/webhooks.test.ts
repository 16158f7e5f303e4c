/** Webhooks that would make the server call into its own network: refused when they are submitted, by one answer. */
import { describe, expect, test } from "bun:test";
import { apiOf, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";

const server = sharedServer({
  env: {
    HOLDLINE_WEBHOOK_HOSTS: "*",
    HOLDLINE_WEBHOOK_SECRETS: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
  },
});

async function openApi() {
  const session = await fetch(`${server().url}/v1/sessions`, { method: "POST" });
  return apiOf(server(), ((await session.json()) as { token: string }).token);
}

const INSIDE = [
  "https://127.0.0.1/",
  "https://127.1/",
  "https://2130706433/",
  "https://0x7f.0.0.1/",
  "https://0177.0.0.1/",
  "https://127.0.0.1./",
  "https://①②⑦.⓪.⓪.①/",
  "https://[::1]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[0:0:0:0:0:ffff:7f00:1]/",
  "https://localhost/",
  "https://LOCALHOST./",
  "https://any.localhost/",
  "https://169.254.169.254/latest/meta-data/",
  "https://[fd00:ec2::254]/",
  "https://10.0.0.1/",
  "https://192.168.0.1/",
  "https://0/",
  "http://hooks.example.com/",
  "file:///etc/passwd",
  "gopher://hooks.example.com/",
  "javascript:alert(1)",
  "https://user:password@hooks.example.com/",
  "https://user@hooks.example.com/",
  "hooks.example.com",
  "https://",
  "",
  `https://hooks.example.com/${"a".repeat(2048)}`,
];

describe("S41 a user's webhook URL", () => {
  test.each(INSIDE)("%p is refused, and no job is made", async (webhook) => {
    const api = await openApi();
    const refused = await api.post(tokensBody({}, { webhook }));
    expect(refused.status).toBe(400);
    expect(refused.body.code).toBe("invalid_request");
    expect(refused.body.errors?.map(({ pointer }) => pointer)).toEqual(["/webhook"]);
    expect((await api.call<{ items: unknown[] }>("GET", "/v1/jobs")).body.items).toEqual([]);
  });

  test("to a public host is accepted", async () => {
    const api = await openApi();
    const accepted = await api.post(
      tokensBody({}, { webhook: "https://hooks.example.com/done", delayMs: 60_000 }),
    );
    expect(accepted.status).toBe(202);
  });
});
