/** Writes into the page which files each part needs that is loaded later; `src/design/part_files.ts` says what for. */

import type { Plugin } from "vite";
import { needed } from "./budget.ts";

export function partFiles(): Plugin {
  return {
    name: "parley-part-files",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
        const there = needed(
          chunks,
          chunks.filter(({ isEntry }) => isEntry),
        );
        const files: Record<string, string[]> = {};
        for (const chunk of chunks.filter(({ isDynamicEntry }) => isDynamicEntry)) {
          const part = chunk.facadeModuleId?.match(/\/src\/(.*)\.tsx?$/)?.[1] ?? "";
          const missing = [...needed(chunks, [chunk])].filter((one) => !there.has(one));
          files[part] = missing.map(({ fileName }) => `/${fileName}`);
        }
        const attrs = { type: "application/json", id: "part-files" };
        return [{ tag: "script", attrs, children: JSON.stringify(files), injectTo: "head" }];
      },
    },
  };
}
