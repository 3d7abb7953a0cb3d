// Measures drawn: shares as bars, periods as columns, everything else as figures. Cards of repositories and people.

import { element, icon, KINDS, titleLink } from "./answer.js";

const SHOWN = 8;
const DURATIONS = new Set(["median", "p90"]);

/** What an answer draws, by its type; null where there is nothing to draw. */
export function widget(data) {
  if (data.type === "repository") return repositoryCard(data);
  if (data.type === "person") return personCard(data);
  return measureCard(data);
}

/** The figures of one measure. */
function measureCard({ measure, repositories, figures, coverage, n }) {
  if (!figures) return null;
  const card = element("figure", { className: "widget" });
  card.append(element("figcaption", {}, element("strong", {}, title(measure)), ` ${repositories.join(", ")}`, element("small", {}, `${window_(coverage)} [${n}]`)));
  const plain = Object.entries(figures).filter(([, value]) => value !== null && typeof value !== "object");
  card.append(tiles(plain));
  if (Array.isArray(figures.people)) card.append(bars(figures.people, figures.factor ?? 0, coverage));
  else if (Array.isArray(figures.periods) && figures.periods.length > 1) card.append(columns(figures.periods));
  return card;
}

function repositoryCard({ repositories, url, items, people, factor, level, coverage, coverage_text }) {
  const card = framed("repository", titleLink(repositories[0], url), window_(coverage));
  const counts = kindTiles(items);
  if (factor !== null) {
    const risk = element("span", { className: `level ${level.replaceAll(" ", "-")}` }, `${level} risk`);
    counts.append(element("div", {}, element("dt", {}, "lottery factor"), element("dd", {}, String(factor), " ", risk)));
  }
  card.append(counts);
  if (people.length) card.append(element("h3", {}, "Most active"), bars(people, 0));
  card.append(element("p", { className: "rests" }, coverage_text));
  return card;
}

function personCard({ person, url, logins, items, co_authored, work, repositories, more, since, until, newest }) {
  const active = since === until ? `Active on ${since}` : `Active ${since} to ${until}`;
  const card = framed("person", titleLink(person, url), newest ? `${active} · newest ${newest} items` : active);
  const counts = kindTiles(items);
  if (co_authored) counts.append(element("div", {}, element("dt", {}, "commits co-authored"), element("dd", {}, shown("", co_authored))));
  const told = element("dl", { className: "told" });
  const rows = [
    ["Repositories", repositories.join(", ") + (more ? ` and ${more} more` : "")],
    ["Kinds of work", work.map(([name, count]) => `${name}\u00a0${count}`).join(" · ")],
    ["Also known as", logins.slice(1).join(", ")],
  ];
  for (const [name, text] of rows) if (text) told.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
  card.append(counts, told);
  return card;
}

function framed(kind, name, when) {
  const head = element("figcaption", {}, icon(kind), element("strong", {}, name), element("small", {}, when));
  return element("figure", { className: "widget card" }, head);
}

/** How many items of each kind, those that there are none of left out. */
function kindTiles(items) {
  const list = element("dl", { className: "tiles" });
  for (const kind of Object.keys(KINDS).filter((one) => items[one])) {
    const label = KINDS[kind].toLowerCase() + (items[kind] === 1 ? "" : "s");
    list.append(element("div", {}, element("dt", {}, label), element("dd", {}, shown("", items[kind]))));
  }
  return list;
}

function title(measure) {
  const words = measure.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function window_({ since, until }) {
  if (!since || !until) return "";
  const last = new Date(`${until}T00:00:00Z`);
  last.setUTCDate(last.getUTCDate() - 1);
  return `${since} to ${last.toISOString().slice(0, 10)}`;
}

function tiles(entries) {
  const list = element("dl", { className: "tiles" });
  for (const [name, value] of entries) {
    list.append(element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, shown(name, value))));
  }
  return list;
}

function shown(name, value) {
  if (typeof value !== "number") return String(value);
  if (DURATIONS.has(name)) return duration(value);
  if (/share|ratio|change|confidence/.test(name)) return `${Math.round(value * 100)} %`;
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

function duration(seconds) {
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

/** The busiest people; those who together reach half stand out. */
function bars(people, half) {
  const list = element("ol", { className: "bars" });
  const most = Math.max(...people.map((one) => one.share), 0.01);
  people.slice(0, SHOWN).forEach(({ person, contributions, share }, place) => {
    const bar = element("span", { className: "bar" });
    bar.style.width = `${Math.max((share / most) * 100, 1)}%`;
    const percent = `${Math.round(share * 100)} %`;
    const row = element("li", { className: place < half ? "half" : "" });
    row.append(element("span", { className: "who" }, person), element("span", { className: "track" }, bar), element("span", { className: "much" }, `${contributions} · ${percent}`));
    list.append(row);
  });
  if (people.length > SHOWN) list.append(element("li", { className: "more" }, `and ${people.length - SHOWN} more`));
  return list;
}

function columns(periods) {
  const list = element("ol", { className: "columns" });
  const most = Math.max(...periods.map((one) => one.contributions), 1);
  for (const { first_day, contributions } of periods) {
    const column = element("span", { className: "column" });
    column.style.height = `${Math.max((contributions / most) * 100, 1)}%`;
    list.append(element("li", { title: `${first_day}: ${contributions}` }, column, element("span", { className: "unseen" }, `${first_day}: ${contributions}`)));
  }
  return list;
}
