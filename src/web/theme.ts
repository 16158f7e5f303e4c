/** Light or dark: what the system prefers, until somebody chooses. */

const KEY = "holdline:theme";

/** Applies the choice of an earlier visit and lets `button` change it. */
export function startTheme(button: HTMLButtonElement): void {
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = read();
  if (chosen !== null) root.dataset["theme"] = chosen;

  button.addEventListener("click", () => {
    const now = root.dataset["theme"] ?? (prefersDark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    root.dataset["theme"] = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Without a storage the choice lasts as long as the page.
    }
  });
}

function read(): string | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : null;
  } catch {
    return null;
  }
}
