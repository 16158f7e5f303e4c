/** Files of the pages that the server brings along: kept in memory, with the headers they are served with. */

export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** No inline script or style, nothing from elsewhere, no frame around it. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; " +
  "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const YEAR_SECONDS = 31_536_000;

export interface FileContent {
  readonly bytes: Uint8Array;
  readonly type: string;
}

function toAsset({ bytes, type }: FileContent): Asset {
  const page = type.startsWith("text/html");
  return {
    bytes: new Uint8Array(bytes),
    headers: {
      "Content-Type": type,
      "Content-Security-Policy": PAGE_POLICY,
      // The names of all other files hold a hash of their content.
      "Cache-Control": page ? "no-cache" : `public, max-age=${YEAR_SECONDS}, immutable`,
      "Cross-Origin-Opener-Policy": "same-origin",
    },
  };
}

/** Serves a set of files by path, `/` being `/index.html`. `load` is called once, when the first one is asked for. */
export function createAssets(
  load: () => Promise<ReadonlyMap<string, FileContent>>,
): (path: string) => Promise<Asset | null> {
  let loading: Promise<ReadonlyMap<string, Asset>> | null = null;
  const loadAssets = async (): Promise<ReadonlyMap<string, Asset>> =>
    new Map([...(await load())].map(([path, file]) => [path, toAsset(file)]));

  return async (path) => {
    const name = path === "/" ? "/index.html" : path;
    loading ??= loadAssets();
    try {
      return (await loading).get(name) ?? null;
    } catch (error) {
      // Under `npm start` a page that does not build is the page's trouble: it is tried again, and only it fails.
      loading = null;
      if (name === "/index.html") throw error;
      return null;
    }
  };
}
