/**
 * Fetches the files of a part before it is imported. Browsers that keep to the letter of the HTML standard, Firefox among them,
 * remember a failed import for as long as the page is open: no second try would help. A failed fetch is not remembered, and after
 * a good one the import finds everything in the cache.
 */
export async function fetchFiles(part: string): Promise<void> {
  await Promise.all(
    filesOf(part).map(async (file) => {
      const answer = await fetch(file);
      if (!answer.ok) {
        throw new Error(`${file}: ${answer.status}`);
      }
      await answer.arrayBuffer();
    }),
  );
}

/** As the build wrote them into the page; none where modules are served one by one, in development. */
function filesOf(part: string): readonly string[] {
  return JSON.parse(document.getElementById("part-files")?.textContent ?? "{}")[part] ?? [];
}
