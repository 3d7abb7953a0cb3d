"use strict";
// The page of the answering service. Whatever the server sends is inserted as text, never as HTML.

const $ = (id) => document.getElementById(id);
const KINDS = { pull_request: "Pull request", issue: "Issue", release: "Release", commit: "Commit", measure: "Measure" };
const MODES = {
  extractive: ["Extractive", "Composed by rule from the sources."],
  llm: ["LLM", "Worded by an LLM; each sentence was checked against the sources."],
  degraded: ["Degraded", "The LLM gave nothing usable, so this is composed by rule from the sources."],
  abstained: ["Abstained", "No answer is given where nothing backs one."],
};
let request = null; // the AbortController of the question that is being answered
let covered = false; // whether the coverage line is that of an answer

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children); // strings become text nodes
  return made;
}

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${kind in KINDS ? kind : "other"}`);
  svg.append(use);
  return svg;
}

/** A title as a link in a new tab; plain text where the address is not one of the web. */
function titleLink(title, url) {
  if (!/^https?:\/\//i.test(url)) return element("span", {}, title);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, title);
}

/** Where a source is, as GitHub writes it: owner/name#12, owner/name@v1.0, owner/name@3f2a91c; a measure by its name. */
function place({ kind, repo, ref }) {
  if (kind === "measure") return `${ref.replaceAll("_", " ")} of ${repo}`;
  if (kind === "commit") return `${repo}@${ref.slice(0, 7)}`;
  return repo + (kind !== "release" && /^\d+$/.test(ref) ? "#" : "@") + ref;
}

function sourceItem(citation) {
  const where = `${KINDS[citation.kind] ?? citation.kind.replaceAll("_", " ")} · ${place(citation)}`;
  const body = element("div", {}, titleLink(citation.title || place(citation), citation.url), element("small", {}, where));
  const number = element("span", { className: "n" }, String(citation.n));
  return element("li", { id: `source-${citation.n}`, tabIndex: -1 }, number, icon(citation.kind), body);
}

/** A line of the answer: markers of known sources become links, `code` is set as such, a leading login stands out. */
function paragraph(line, known) {
  const login = line.match(/^@[\w-]+(\[bot\])?/)?.[0] ?? "";
  const made = element("p");
  if (login) made.append(element("strong", {}, login));
  let end = login.length;
  for (const found of line.matchAll(/`([^`[\]]+)`|\[(\d{1,3})\]/g)) {
    const [whole, code, number] = found;
    if (found.index < end || (number && !known.has(Number(number)))) continue;
    made.append(line.slice(end, found.index));
    if (code) made.append(element("code", {}, code));
    else made.append(element("a", { className: "mark", href: `#source-${number}`, ariaLabel: `Source ${number}` }, whole));
    end = found.index + whole.length;
  }
  made.append(line.slice(end));
  return made;
}

function show(question, answer) {
  const mode = answer.abstained ? "abstained" : answer.mode;
  const [label, meaning] = MODES[mode] ?? [mode, ""];
  const coverage = answer.coverage?.text ?? "";
  const known = new Set(answer.citations.map((citation) => citation.n));
  let text = answer.answer;
  if (coverage && text.endsWith(coverage)) text = text.slice(0, -coverage.length); // it has its own line
  const badge = element("strong", { className: `mode ${mode}` }, label);
  const lines = text.split("\n").filter((line) => line.trim());
  $("asked").textContent = question;
  $("asked").hidden = false;
  $("answer").replaceChildren(
    element("p", { className: "how" }, badge, ` ${meaning}`), ...lines.map((line) => paragraph(line, known)));
  $("sources").replaceChildren(...answer.citations.map(sourceItem));
  $("cited").hidden = answer.citations.length === 0;
  if (coverage) {
    covered = true;
    $("coverage").textContent = coverage;
  }
  reveal($("result"));
}

function takeAway() {
  $("asked").hidden = $("cited").hidden = true;
  $("answer").replaceChildren();
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
  if (message) {
    takeAway();
    reveal($("error"));
  }
}

/** Scrolls only where the eye would not find it, as on a phone. */
function reveal(target) {
  if (matchMedia("(pointer: coarse)").matches) $("question").blur(); // puts the keyboard of the screen away
  if (target.getBoundingClientRect().top > innerHeight * 0.55) target.scrollIntoView({ block: "start" });
}

/** The server's own words for a refusal: the `detail` of a problem (RFC 9457). */
function refusal(response, body) {
  if (typeof body?.detail === "string") return body.detail;
  return `The service refused (HTTP ${response.status} ${response.statusText}).`.replace(" )", ")");
}

function setBusy(busy) {
  document.body.classList.toggle("busy", busy);
  $("result").ariaBusy = String(busy);
  $("ask").ariaDisabled = String(busy);
  $("ask").textContent = busy ? "Asking…" : "Ask";
  $("escape").textContent = busy ? "cancels" : "clears";
  $("busy").textContent = busy ? "Asking. Escape cancels." : "";
}

function scope() {
  const repos = $("repos").value.split(/[\s,]+/).filter(Boolean);
  return { repos, since: $("since").value || null, until: $("until").value || null };
}

async function ask(event) {
  event?.preventDefault();
  const question = $("question").value.trim();
  if (request) return;
  if (!question) return void $("question").focus();
  const { since, until } = scope();
  if (since && until && since > until) return showError(`The dates are the wrong way round: ${since} is after ${until}.`);
  const mine = (request = new AbortController());
  showError("");
  setBusy(true);
  try {
    const response = await fetch("/v1/ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question, scope: scope() }),
      signal: mine.signal,
    });
    const body = await response.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    if (response.ok && body) show(question, body);
    else showError(refusal(response, body));
  } catch (error) {
    if (error.name === "AbortError") return;
    showError(error instanceof TypeError ? "The service cannot be reached. Is it running?" : String(error));
  } finally {
    if (request === mine) {
      request = null;
      setBusy(false);
    }
  }
}

/** Escape: cancels what runs; otherwise empties the question and takes the answer away. */
function clear() {
  if (request) return void request.abort();
  $("question").value = "";
  takeAway();
  showError("");
  if (location.hash) history.replaceState(null, "", location.pathname);
  $("question").focus();
}

function onKey(event) {
  if (event.isComposing) return;
  const typing = event.target.matches("input, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("question").focus();
  } else if (event.key === "Escape" && !event.target.matches(".fields input")) clear();
  else if (event.key === "Enter" && !event.shiftKey && event.target === $("question")) ask(event);
}

/** An example goes into the box with the part to replace selected. */
function useExample(event) {
  const button = event.target.closest("button");
  if (!button) return;
  const [text, blank] = [button.textContent, button.querySelector("span").textContent];
  const start = text.indexOf(blank);
  $("question").value = text;
  $("question").focus();
  $("question").setSelectionRange(start, start + blank.length);
}

function describeFilters() {
  const { repos, since, until } = scope();
  const parts = [repos.join(", "), since && `from ${since}`, until && `to ${until}`].filter(Boolean);
  $("narrowed").textContent = parts.length ? `Narrowed: ${parts.join(" ")}` : "Narrow to repositories or dates";
  $("narrowed").classList.toggle("active", parts.length > 0);
  $("since").max = until ?? "";
  $("until").min = since ?? "";
  $("widen").hidden = parts.length === 0;
}

/** Before the first answer the line says whether one can be had; after it, what the answer rests on. */
async function watchReadiness() {
  const body = await fetch("/readyz").then((response) => response.json()).catch(() => null);
  if (covered) return;
  if (body?.ready && body.release !== null) {
    $("coverage").textContent = body.coverage.text;
    return;
  }
  if (body?.ready) $("coverage").textContent = "No release is served yet, so there is nothing to answer from.";
  else if (body) $("coverage").textContent = body.error ?? "The service is starting.";
  else $("coverage").textContent = "The service cannot be reached.";
  setTimeout(watchReadiness, 3000);
}

$("form").addEventListener("submit", ask);
$("examples").addEventListener("click", useExample);
$("filters").addEventListener("input", describeFilters);
$("widen").addEventListener("click", () => {
  for (const id of ["repos", "since", "until"]) $(id).value = "";
  describeFilters();
  $("repos").focus();
});
document.addEventListener("keydown", onKey);
describeFilters();
watchReadiness();
