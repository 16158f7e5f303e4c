/** `holdline health` against servers that are ready, are not, are silent, and are not there. */
import { describe, expect, test } from "bun:test";
import { holdline } from "./holdline.ts";

interface Neighbour extends Disposable {
  readonly port: number;
  readonly hosts: string[];
}

/** A server that answers /readyz with `status`; null: never. */
function neighbour(status: number | null): Neighbour {
  const hosts: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      hosts.push(request.headers.get("host") ?? "");
      if (new URL(request.url).pathname !== "/readyz") return new Response(null, { status: 404 });
      if (status === null) return new Promise<Response>(() => undefined);
      const headers = { location: "/elsewhere" };
      return new Response("private words", { status, headers });
    },
  });
  return { port: server.port ?? 0, hosts, [Symbol.dispose]: () => void server.stop(true) };
}

describe("health", () => {
  const answers: [status: number, code: number, text: string][] = [
    [200, 0, "ready: URL"],
    [503, 1, "not ready: URL: it answered 503"],
    [302, 1, "not ready: URL: it answered 302"],
  ];
  test.each(answers)("of a server that answers %d ends with %d", async (status, code, text) => {
    using server = neighbour(status);
    const url = `http://127.0.0.1:${server.port}/readyz`;
    expect(await holdline(["health", "--port", String(server.port)])).toEqual({
      code,
      out: `${text.replace("URL", url)}\n`,
      err: "",
    });
    expect(server.hosts).toEqual([`127.0.0.1:${server.port}`]);
  });

  test("finds the server of the configuration, past every proxy of the environment", async () => {
    using server = neighbour(200);
    const proxy = "http://127.0.0.1:1";
    const env = {
      HOLDLINE_PORT: String(server.port),
      HOLDLINE_HOST: "0.0.0.0",
      HOLDLINE_AUTH: "open",
      HTTP_PROXY: proxy,
      http_proxy: proxy,
    };
    expect((await holdline(["health"], { env })).code).toBe(0);
  });

  test("of a server that is silent ends in time", async () => {
    using server = neighbour(null);
    const { code, out } = await holdline(["health", `--port=${server.port}`, "--timeout-ms=50", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({
      ready: false,
      url: `http://127.0.0.1:${server.port}/readyz`,
      status: null,
      reason: "no answer in 50 ms",
    });
  });

  test("of a server that is not there ends with 1", async () => {
    const server = neighbour(200);
    server[Symbol.dispose]();
    const { code, out } = await holdline(["health", "--port", String(server.port)]);
    expect(code).toBe(1);
    expect(out).toEndWith("/readyz: no connection\n");
  });

  test("asks a given address, and needs no configuration for it", async () => {
    using server = neighbour(200);
    const url = `http://localhost:${server.port}/ignored?x=1`;
    const { code, out } = await holdline(["health", "--url", url, "--json"], { env: { HOLDLINE_PORT: "x" } });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      ready: true,
      url: `http://localhost:${server.port}/readyz`,
      status: 200,
      reason: null,
    });
    expect(server.hosts).toEqual([`localhost:${server.port}`]);
  });

  const mistakes: [argv: string[], message: string][] = [
    [["--port", "0"], "The port is 0, so it cannot be known here: say --url URL."],
    [["--url", "localhost:8787"], "--url needs a URL that begins with http:// or https://."],
    [["--timeout-ms", "soon"], "--timeout-ms needs a whole number from 1 to 600000."],
    [["--timeout-ms", "600001"], "--timeout-ms needs a whole number from 1 to 600000."],
  ];
  test.each(mistakes)("%j is wrong usage", async (argv, message) => {
    const { code, err } = await holdline(["health", ...argv]);
    expect(code).toBe(2);
    expect(err).toStartWith(`holdline: ${message}\n`);
  });
});
