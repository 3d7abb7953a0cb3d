"""The invented people, bots and repositories of the sample.

Two names are not invented, `brandonroberts` and `remix-run/react-router`, because the well-known
demonstration questions name them. What they do and say here is invented like everything else and says
nothing about the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

RENAMED_AT = datetime(2025, 10, 7, 9, 20, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """An account: a person, a bot or an organization."""

    login: str
    id: int
    type: str


@dataclass(frozen=True, slots=True)
class Bump:
    """A dependency update, as the updater bot proposes it."""

    package: str
    old: str
    new: str
    note: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository: its identity, its people and what its texts are made of.

    `rotation` opens what no catalogue entry gives to somebody; `team` comments, reviews and merges.
    """

    catalogue: str
    id: int
    name: str
    language: str
    description: str
    rotation: tuple[str, ...]
    team: tuple[str, ...]
    path: str
    test_command: str
    styles: tuple[int, ...]
    first_number: int
    environments: tuple[str, ...]
    bumps: tuple[Bump, ...]
    name_before: str | None = None

    def name_at(self, moment: datetime) -> str:
        """The full name at that moment (one repository is renamed within the window)."""
        return self.name_before if self.name_before and moment < RENAMED_AT else self.name


BOTS = ("coverage-owl[bot]", "depwatch[bot]", "release-pilot[bot]")
COVERAGE_BOT, UPDATE_BOT, RELEASE_BOT = BOTS

OUTSIDERS = ("quiet-otter-91", "build-it-twice", "marble-fern", "late-train-home")

REPOSITORIES = (
    Repository(
        "react_router", 620_118_401, "remix-run/react-router", "TypeScript",
        "Declarative routing with data loading (sample content)",
        ("caro-lindqvist", "devonmarsh", "yuki-haldane"),
        ("lenawirth", "brandonroberts", "jonas-ekwall", "caro-lindqvist", "devonmarsh", "yuki-haldane"),
        "packages/router/lib/{area}.ts", "pnpm test --filter router", (0, 2, 3), 14_020,
        ("router 8.2.0, React 19.1, Chrome 141", "router 8.1.3, React 18.3, Firefox 143",
         "router 8.2.0, Node 22.9"),
        (
            Bump("vite", "7.1.4", "7.1.9", "Source maps of lazy chunks are no longer inlined twice."),
            Bump("typescript", "5.9.2", "5.9.3",
                 "A patch release of the compiler; no type test changes its result."),
            Bump("playwright", "1.55.0", "1.56.0", "Browsers of the October channel; traces are smaller."),
        ),
    ),
    Repository(
        "dataloom", 620_244_877, "kestrel-labs/dataloom", "TypeScript",
        "Queries, caching and mutations for user interfaces",
        ("priya-raghu", "caro-lindqvist", "sol-bergen"),
        ("mireille-tessaro", "brandonroberts", "priya-raghu", "caro-lindqvist", "sol-bergen"),
        "packages/core/src/{area}.ts", "pnpm vitest run", (0, 1, 4), 3_310,
        ("dataloom 4.0.6 in Safari 26", "dataloom 4.0.5, React 19", "dataloom 4.1.0-rc.1 on Android 16"),
        (
            Bump("vitest", "3.2.4", "3.3.0",
                 "Fails fast when a worker runs out of memory instead of hanging."),
            Bump("fake-indexeddb", "6.0.1", "6.2.2", "Transactions abort in the order that browsers use."),
            Bump("rollup", "4.50.1", "4.52.3", "Tree shaking keeps side effects of re-exported getters."),
        ),
    ),
    Repository(
        "schemata", 619_870_533, "typeforge/schemata", "TypeScript",
        "Schemas in, validators and static types out",
        ("oduya-k", "priya-raghu", "hal-winther"),
        ("mireille-tessaro", "jonas-ekwall", "oduya-k", "priya-raghu", "hal-winther"),
        "src/{area}/index.ts", "npm run test:all", (0, 3, 5), 1_870,
        ("schemata 3.6.3 on Node 20", "schemata 3.7.0 on Node 24", "schemata 3.6.2 with Deno 2.5"),
        (
            Bump("ajv", "8.17.1", "8.18.0", "Used as the independent validator in the fuzz job only."),
            Bump("yaml", "2.8.1", "2.9.0", "Reports the position of duplicate anchors."),
            Bump("tsx", "4.20.5", "4.20.6", "Starts eleven milliseconds faster."),
        ),
    ),
    Repository(
        "petal_ui", 618_402_219, "petalworks/petal-ui", "CSS",
        "Accessible components styled with utility classes",
        ("nadia-okafor-ui", "felicity-brandt", "remy-castel", "yuki-haldane"),
        ("nadia-okafor-ui", "felicity-brandt", "remy-castel", "tomasz-wrobl", "aiko-fern", "yuki-haldane"),
        "src/components/{area}.tsx", "npm run test:visual", (0, 1, 2), 2_450,
        ("petal-ui 2.4.2, Chrome 141, macOS 26", "petal-ui 2.4.1, Firefox 143, Windows 11",
         "petal-ui 2.4.2, iOS 26"),
        (
            Bump("tailwindcss", "4.1.13", "4.1.14",
                 "Faster file scanning; the stylesheet of the demo is unchanged."),
            Bump("storybook", "9.1.8", "9.1.10", "Stories keep their arguments when a file is renamed."),
            Bump("axe-core", "4.10.3", "4.11.0", "Three new rules on target size, all of which pass."),
        ),
    ),
    Repository(
        "lexigrind", 617_350_962, "ferrous-works/lexigrind", "Rust",
        "Incremental parsers generated from grammars",
        ("gregor-halvard", "sunniva-rask", "ibrahim-delacroix"),
        ("gregor-halvard", "sunniva-rask", "aiko-fern", "ibrahim-delacroix", "tomasz-wrobl"),
        "crates/core/src/{area}.rs", "cargo test --workspace", (0, 3, 4), 980,
        ("lexigrind 0.23.4, x86-64 Linux", "lexigrind 0.23.4, macOS on ARM",
         "lexigrind 0.24.0-beta.2, Windows 11"),
        (
            Bump("regex-automata", "0.4.10", "0.4.13", "Lower memory use for large character classes."),
            Bump("criterion", "0.6.0", "0.7.0", "Benchmarks only; baselines were recorded again."),
            Bump("clap", "4.5.47", "4.5.48", "Help texts wrap at the width of the terminal."),
        ),
    ),
    Repository(
        "emberdb", 616_908_114, "emberdb/emberdb", "Rust",
        "An embedded ordered key-value store",
        ("sunniva-rask", "pavel-horak-db", "kwabena-ost", "ilse-vandam"),
        ("sunniva-rask", "pavel-horak-db", "kwabena-ost", "ilse-vandam", "tomasz-wrobl"),
        "engine/src/{area}.rs", "cargo nextest run", (1, 3, 5), 1_440,
        ("emberdb 0.9.3 on ext4, kernel 6.12", "emberdb 0.9.2 on XFS, 64 cores",
         "emberdb 0.9.3 on Windows Server 2025"),
        (
            Bump("crc32fast", "1.4.2", "1.5.0", "Uses the wider instruction where the processor has it."),
            Bump("tempfile", "3.20.0", "3.23.0", "Directories are removed even when a test panics."),
            Bump("zstd", "0.13.2", "0.13.3", "Dictionary training is deterministic across platforms."),
        ),
    ),
    Repository(
        "tidewater", 615_733_648, "harborline/tidewater", "Python",
        "Load messy files into tidy tables",
        ("rosalind-mbeki", "hugo-valdes", "chen-aldric", "katya-morn", "ines-quill"),
        ("rosalind-mbeki", "hugo-valdes", "chen-aldric", "katya-morn", "ines-quill"),
        "src/tidewater/{area}.py", "pytest -q", (0, 1, 3), 760,
        ("tidewater 2.3.1, Python 3.12, Linux", "tidewater 2.3.0, Python 3.13, Windows 11",
         "tidewater 2.4.0rc1, Python 3.11"),
        (
            Bump("pyarrow", "20.0.0", "21.0.0",
                 "Reads decimals of 76 digits; our tests for 38 are unchanged."),
            Bump("hypothesis", "6.138.0", "6.140.3", "Shrinks date examples to rounder values."),
            Bump("openpyxl", "3.1.4", "3.1.5", "Closes its file handles in read-only mode."),
        ),
    ),
    Repository(
        "parcelpost", 614_551_207, "orchard-io/parcelpost", "Go",
        "Deliver webhooks reliably",
        ("omar-svensk", "bea-lockhart", "dimitri-palm", "wanjiru-t"),
        ("omar-svensk", "bea-lockhart", "dimitri-palm", "ravi-kestrel", "wanjiru-t"),
        "internal/{area}/{area}.go", "go test -race ./...", (0, 4, 5), 1_120,
        ("1.8.4 on Kubernetes 1.33, PostgreSQL 17", "1.8.3 in Docker, PostgreSQL 15",
         "1.9.0-rc.2, PostgreSQL 18"),
        (
            Bump("github.com/jackc/pgx/v5", "5.7.5", "5.7.6",
                 "Statements are prepared again after a failover."),
            Bump("golang.org/x/net", "0.43.0", "0.44.0", "Limits the number of continuation frames."),
            Bump("actions/setup-go", "5", "6", "Runs on the newer node runtime of hosted runners."),
        ),
        name_before="orchard-io/queuebird",
    ),
    Repository(
        "nimbus_operator", 613_120_775, "skylark-ops/nimbus-operator", "Go",
        "PostgreSQL clusters on Kubernetes",
        ("ravi-kestrel", "linnea-strom", "matteo-quist"),
        ("ravi-kestrel", "linnea-strom", "matteo-quist", "omar-svensk", "bea-lockhart"),
        "controllers/{area}_controller.go", "make test-e2e", (1, 2, 4), 890,
        ("operator 0.17.2, Kubernetes 1.32", "operator 0.17.1, Kubernetes 1.34, bare metal",
         "operator 0.18.0-rc.1, k3s"),
        (
            Bump("sigs.k8s.io/controller-runtime", "0.21.0", "0.22.1", "Caches are started before webhooks."),
            Bump("k8s.io/client-go", "0.33.4", "0.34.1", "Follows the cluster version of the test matrix."),
            Bump("helm/kind-action", "1.12.0", "1.13.0", "Images for the three versions that we test."),
        ),
    ),
    Repository(
        "handbook", 612_004_390, "openfield/handbook", "MDX",
        "How we work, written down",
        ("gwen-ashby", "ines-quill", "hugo-valdes", "marisol-penn"),
        ("gwen-ashby", "ines-quill", "felicity-brandt", "hugo-valdes", "marisol-penn"),
        "content/{area}/index.mdx", "npm run check", (0, 4, 5), 540,
        ("Firefox 143 on Ubuntu", "Edge 141 on Windows", "Safari on an iPad"),
        (
            Bump("pagefind", "1.3.0", "1.4.0", "The index of the Spanish pages shrinks by a tenth."),
            Bump("cspell", "9.2.0", "9.2.1", "Two words fewer in our list of exceptions."),
            Bump("sharp", "0.34.3", "0.34.4", "Rotates photos by their embedded orientation."),
        ),
    ),
    Repository(
        "lantern_ci", 611_287_056, "mossgate/lantern-ci", "Kotlin",
        "Self-hosted continuous integration that finds flaky tests",
        ("anselm-roth", "zuri-hadley", "katya-morn", "linnea-strom"),
        ("anselm-roth", "zuri-hadley", "katya-morn", "linnea-strom", "dimitri-palm"),
        "server/src/main/kotlin/{area}/Service.kt", "./gradlew check", (1, 3, 5), 2_010,
        ("server 5.2.7, runner on Debian 13", "server 5.2.6, runner on Windows Server",
         "server 5.3.0, runner on macOS 26"),
        (
            Bump("org.jetbrains.kotlinx:kotlinx-coroutines-core", "1.10.1", "1.10.2",
                 "Cancels timers promptly."),
            Bump("io.ktor:ktor-server-core", "3.2.3", "3.3.0",
                 "Closes idle web sockets after their ping time-out."),
            Bump("org.flywaydb:flyway-core", "11.12.0", "11.13.1", "Migrations lock per schema."),
        ),
    ),
    Repository(
        "unitext", 610_439_821, "glyphworks/unitext", "C++",
        "Unicode text handling in one small library",
        ("kofi-lindgren", "eszter-vale", "chen-aldric", "anselm-roth"),
        ("kofi-lindgren", "eszter-vale", "chen-aldric", "anselm-roth", "ibrahim-delacroix"),
        "src/{area}.cc", "meson test -C build", (0, 3, 4), 660,
        ("unitext 8.4.0, gcc 15", "unitext 8.3.2, clang 20 on FreeBSD", "unitext 9.0.0-rc1, MSVC 19.44"),
        (
            Bump("doctest", "2.4.11", "2.4.12", "Compiles without warnings on the newest gcc."),
            Bump("actions/checkout", "4", "5", "Hosted runners only."),
            Bump("oss-fuzz-base", "2025-09-01", "2025-10-01", "Sanitizers of the current toolchain."),
        ),
    ),
)  # fmt: skip


def _people() -> dict[str, Person]:
    logins: list[str] = []
    for repository in REPOSITORIES:
        for login in (*repository.team, *repository.rotation):
            if login not in logins:
                logins.append(login)
    humans = [*logins, *OUTSIDERS]
    people = {login: Person(login, 21_400_117 + 104_729 * i, "User") for i, login in enumerate(humans)}
    people |= {login: Person(login, 158_000_311 + 7_919 * i, "Bot") for i, login in enumerate(BOTS)}
    owners = {repository.name.split("/")[0]: None for repository in REPOSITORIES}
    people |= {o: Person(o, 69_000_041 + 15_485 * i, "Organization") for i, o in enumerate(owners) if o not in people}
    return people


PEOPLE = _people()
CONTRIBUTORS = tuple(p.login for p in PEOPLE.values() if p.type == "User" and p.login not in OUTSIDERS)
