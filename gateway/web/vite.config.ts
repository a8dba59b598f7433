import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { budget } from "./budget.ts";
import { partFiles } from "./part_files.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Where `npm run dev` finds the gateway; the built client talks to the origin it was loaded from. */
const gateway = process.env.PARLEY_PUBLIC_URL ?? "http://localhost:8080";

export default defineConfig({
  plugins: [react(), tailwindcss(), budget(), partFiles()],
  resolve: {
    alias: { "@": path("./src"), "@gen": path("../../gen/ts/parley") },
    // The generated code lives outside this package and must find this package's runtime.
    dedupe: ["@bufbuild/protobuf"],
  },
  build: {
    target: "es2023",
    sourcemap: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    manifest: true,
  },
  server: {
    proxy: { "^/(parley\\.|v1/|docs/)": { target: gateway, changeOrigin: true } },
    fs: { allow: [path("../..")] },
  },
});
