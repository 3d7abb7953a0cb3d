// An answer and its sources as elements. Whatever the server sends is inserted as text, never as HTML.

export const KINDS = {
  pull_request: "Pull request", issue: "Issue", release: "Release", commit: "Commit", measure: "Measure", web: "Web page",
};
const DRAWN = ["repository", "person"];
export const MODES = {
  extractive: ["Extractive", "Composed by rule from the sources."],
  llm: ["LLM", "Worded by an LLM; each sentence was checked against the sources."],
  degraded: ["Degraded", "The LLM failed, so this is composed by rule from the sources."],
  abstained: ["Abstained", "No answer is given where nothing backs one."],
};

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children); // strings become text nodes
  return made;
}

export function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${kind in KINDS || DRAWN.includes(kind) ? kind : "other"}`);
  svg.append(use);
  return svg;
}

/** A title as a link in a new tab; plain text where the address is not one of the web. */
export function titleLink(title, url) {
  if (!/^https?:\/\//i.test(url)) return element("span", {}, title);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, title);
}

/** Where a source is, as GitHub writes it: owner/name#12, owner/name@v1.0, owner/name@3f2a91c; a measure by its name. */
export function place({ kind, repo, ref }) {
  if (kind === "measure") return `${ref.replaceAll("_", " ")} of ${repo}`;
  if (kind === "web") return repo;
  if (kind === "commit") return `${repo}@${ref.slice(0, 7)}`;
  return repo + (kind !== "release" && /^\d+$/.test(ref) ? "#" : "@") + ref;
}

export function named(citation) {
  return `${KINDS[citation.kind] ?? citation.kind.replaceAll("_", " ")} · ${place(citation)}`;
}

/** The text as paragraphs and lists. known: numbers of its sources; open: called with the number of one that is chosen. */
export function written(text, known, open) {
  const blocks = [];
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const item = line.match(/^\s*[-*] (.*)/);
    if (!item) blocks.push(inline(element("p"), line, known, open));
    else {
      if (blocks.at(-1)?.tagName !== "UL") blocks.push(element("ul"));
      blocks.at(-1).append(inline(element("li"), item[1], known, open));
    }
  }
  return blocks;
}

/** `code` and **strong** are set as such, a leading login stands out, and markers of known sources can be pressed. */
function inline(made, line, known, open) {
  const login = line.match(/^@[\w-]+(\[bot\])?/)?.[0] ?? "";
  if (login) made.append(element("strong", {}, login));
  let end = login.length;
  for (const found of line.matchAll(/`([^`[\]]+)`|\*\*([^*]+)\*\*|\[(\d{1,3})\]/g)) {
    const [whole, code, strong, number] = found;
    if (found.index < end || (number && !known.has(Number(number)))) continue;
    made.append(line.slice(end, found.index));
    if (code) made.append(element("code", {}, code));
    else if (strong) made.append(element("strong", {}, strong));
    else {
      const mark = element("button", { type: "button", className: "mark", ariaLabel: `Source ${number}` }, whole);
      mark.addEventListener("click", () => open(Number(number)));
      made.append(mark);
    }
    end = found.index + whole.length;
  }
  made.append(line.slice(end));
  return made;
}

/** One source in the list: its title leads to it, its button to where it comes from. */
export function sourceItem(citation, open) {
  const trace = element("button", { type: "button", className: "quiet", ariaLabel: `Where source ${citation.n} comes from` }, "Trace");
  trace.addEventListener("click", () => open(citation.n));
  const body = element("div", {}, titleLink(citation.title || place(citation), citation.url), element("small", {}, named(citation)));
  return element("li", {}, element("span", { className: "n" }, String(citation.n)), icon(citation.kind), body, trace);
}

/** The steps of a source's lineage, what was served first. */
export function lineage(steps) {
  return steps.map(({ step, run, run_url, ...values }) => {
    const rows = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
    const list = element("dl");
    for (const [name, value] of rows) {
      const told = typeof value === "object" ? JSON.stringify(value) : String(value);
      list.append(element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, /^https?:\/\//.test(told) ? titleLink(told, told) : told));
    }
    if (run) list.append(element("dt", {}, "Dagster run"), element("dd", {}, run_url ? titleLink(run, run_url) : run));
    return element("li", {}, element("h3", {}, step.replaceAll("_", " ")), list);
  });
}
