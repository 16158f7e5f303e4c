/** Other wall clocks for processes of a test's own, by libfaketime; the monotonic clock is left alone, as when somebody sets the time. */
import { Glob } from "bun";
import { requireService } from "../services.ts";

/** The environment in which a process takes its wall clock from us. */
export function fakeTime(settings: Readonly<Record<string, string>>): Record<string, string> {
  requireService("libfaketime");
  const [path] = new Glob("usr/lib/*/faketime/libfaketime.so.1").scanSync({ cwd: "/", absolute: true });
  if (path === undefined) throw new Error("libfaketime is not where it was");
  return { LD_PRELOAD: path, FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1", ...settings };
}
