/** Tells the type checker what `import path from "….wasm" with { type: "file" }` gives: the path of the file. */
declare module "*.wasm" {
  const path: string;
  export default path;
}
