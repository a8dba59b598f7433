/** Fails the build when somebody's first page would load more script than promised. */

import { gzipSync } from "node:zlib";
import type { Plugin, Rollup } from "vite";

/** Compressed bytes of script until a page can be used. */
const BUDGET = 150_000;
/** Pages that links lead to, by the module that is loaded for them beside the entry. */
const PAGES = ["src/screens/meeting_route.tsx", "src/screens/sign.tsx"];

export function budget(): Plugin {
  return {
    name: "parley-budget",
    apply: "build",
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const entry = chunks.find((chunk) => chunk.isEntry);
      for (const page of PAGES) {
        const own = chunks.find((chunk) => chunk.facadeModuleId?.endsWith(page));
        if (!entry || !own) {
          this.error(`the build has no chunk for ${page}`);
        }
        const size = [...needed(chunks, [entry, own])].reduce((sum, chunk) => sum + gzipSync(chunk.code).length, 0);
        if (size > BUDGET) {
          this.error(`${page} loads ${size} compressed bytes of script at first; the budget is ${BUDGET}`);
        }
        this.info(`${page}: ${size} of ${BUDGET} compressed bytes of script at first`);
      }
    },
  };
}

/** The chunks and all that they import before they run. */
export function needed(
  chunks: readonly Rollup.OutputChunk[],
  roots: readonly Rollup.OutputChunk[],
): Set<Rollup.OutputChunk> {
  const found = new Set<Rollup.OutputChunk>();
  const add = (chunk: Rollup.OutputChunk | undefined) => {
    if (chunk && !found.has(chunk)) {
      found.add(chunk);
      for (const name of chunk.imports) {
        add(chunks.find((other) => other.fileName === name));
      }
    }
  };
  for (const root of roots) {
    add(root);
  }
  return found;
}
