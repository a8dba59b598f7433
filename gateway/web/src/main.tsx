import "./design/base.css";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { restoreTheme } from "./design/theme";
import { followHistory } from "./router";

restoreTheme();
followHistory();
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(<App />);
}
