/** Dark unless the person chose light. */

const KEY = "parley.theme";

export type Theme = "dark" | "light";

export function currentTheme(): Theme {
  return document.documentElement.dataset.theme === "light" ? "light" : "dark";
}

export function setTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem(KEY, theme);
}

export function restoreTheme(): void {
  if (localStorage.getItem(KEY) === "light") {
    document.documentElement.dataset.theme = "light";
  }
}
