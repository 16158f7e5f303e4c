/** A Content-Type taken apart (RFC 9110 section 8.3). */

/** `audio/L16; rate=16000` → the type in lower case and its parameters. */
export function mediaTypeOf(header: string | null): { type: string; parameters: Map<string, string> } {
  const [type = "", ...rest] = (header ?? "").split(";").map((part) => part.trim());
  const parameters = rest.flatMap((part) => {
    const [, name = "", value = ""] = /^([^=\s]+)\s*=\s*"?([^"]*)"?$/.exec(part) ?? [];
    return name === "" ? [] : [[name.toLowerCase(), value] as const];
  });
  return { type: type.toLowerCase(), parameters: new Map(parameters) };
}
