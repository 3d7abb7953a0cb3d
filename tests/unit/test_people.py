"""Who counts as one person: what the rules merge, what they leave alone, and that overrides go before them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starsearch_assets.insights.people import (
    ADDRESS,
    NAME,
    OVERRIDE,
    SHARED_BY,
    Identity,
    Merge,
    beside,
    is_personal,
    merged,
)

NAMES = ["Jane Doe", "jane doe", "jdoe", "Ravi Kumar", "Ravi K", "r.kumar", "Sam Roe", "renovate[bot]"]
ADDRESSES = ["jane@corp.example", "ravi@home.example", "pair@corp.example", "ci@corp.example", ""]
LOGINS = ["jane-doe", "ravi", "sam", "renovate[bot]"]
identities = st.lists(
    st.builds(Identity, st.sampled_from(NAMES), st.sampled_from(ADDRESSES), st.just(""))
    | st.builds(Identity, st.sampled_from(NAMES), st.just("7+x@users.noreply.github.com"), st.sampled_from(LOGINS)),
    max_size=14,
)
people = st.sampled_from([*NAMES, *(f"@{login}" for login in LOGINS)])
overrides = st.dictionaries(people, people, max_size=5)


def told(*rows: tuple[str, str]) -> list[Identity]:
    """Identities from names with addresses, or with '@login'."""
    return [
        Identity(name, f"7+{rest[1:]}@users.noreply.github.com", rest[1:])
        if rest.startswith("@")
        else Identity(name, rest, "")
        for name, rest in rows
    ]


def test_names_of_one_address_are_one_person():
    """Also by a third name between them; the fullest stands for all."""
    seen = told(
        ("jdoe", "jane@corp.example"), ("Jane Doe", "jane@corp.example"),
        ("Jane Doe", "jane@home.example"), ("Jane Q. Doe", "jane@home.example"), ("Ravi", "ravi@corp.example"),
    )  # fmt: skip
    assert merged(seen, {}) == {"jdoe": Merge("Jane Q. Doe", ADDRESS), "Jane Doe": Merge("Jane Q. Doe", ADDRESS)}


@pytest.mark.parametrize(
    "address",
    ["root@build.corp.example", "jane@laptop", "jane@(none)", "noreply@corp.example", "jane@no-reply.example", "",
     "you@example.com", "ci+1@corp.example", "jane", "@corp.example", "jane@users.noreply.github.com"],
)  # fmt: skip
def test_an_address_that_is_nobodys_own_merges_nobody(address):
    assert not is_personal(address)
    assert merged([Identity("Jane Doe", address, ""), Identity("Ravi Kumar", address, "")], {}) == {}


def test_personal_addresses_are_told_from_others():
    assert all(map(is_personal, ["jane@corp.example", "jane+git@corp.example", "rooty@corp.example"]))


def test_an_address_that_many_use_merges_nobody():
    """One name more than a person has."""
    names = [f"Name {letter}" for letter in "ABCD"]
    assert len(names) == SHARED_BY + 1
    assert merged(told(*((name, "pair@corp.example") for name in names)), {}) == {}
    assert len(merged(told(*((name, "pair@corp.example") for name in names[1:])), {})) == SHARED_BY - 1


def test_a_full_name_is_the_login_that_it_is_used_with():
    """Whatever the case; names of the same address go along."""
    seen = told(
        ("Jane Doe", "@jane-doe"), ("JANE DOE", "jane@corp.example"), ("jd", "jane@corp.example"), ("Ravi", "@ravi"),
        ("Ravi", "ravi@corp.example"), ("Ravi K", "@ravi"), ("ravi k", "ravi@corp.example"),
    )  # fmt: skip
    assert merged(seen, {}) == {
        "JANE DOE": Merge("@jane-doe", NAME), "jd": Merge("@jane-doe", ADDRESS), "Ravi": Merge("ravi k", ADDRESS),
    }  # fmt: skip
    assert merged(told(("Jane Doe", "@jane-doe"), ("Jane Doe", "")), {}) == {"Jane Doe": Merge("@jane-doe", NAME)}


def test_a_name_of_several_logins_is_nobodys():
    """Nor is the group that it belongs to by its address."""
    seen = told(("John Smith", "@john"), ("john smith", "@smith"), ("John Smith", "js@corp.example"))
    assert merged(seen, {}) == {}
    assert merged([*seen, *told(("js", "js@corp.example"))], {}) == {"js": Merge("John Smith", ADDRESS)}


def test_names_with_logins_of_their_own_share_an_address_without_becoming_one():
    """Two people at one machine: each is merged into the own login, and a third name of the address into nobody."""
    seen = told(
        ("Jane Doe", "@jane-doe"), ("Ravi Kumar", "@ravi"), ("Jane Doe", "pair@corp.example"),
        ("Ravi Kumar", "pair@corp.example"), ("pair", "pair@corp.example"),
    )  # fmt: skip
    assert merged(seen, {}) == {"Jane Doe": Merge("@jane-doe", NAME), "Ravi Kumar": Merge("@ravi", NAME)}


def test_a_short_name_makes_nobody_one_person():
    """There are several called John: their full names stay apart, and John is none of them."""
    seen = told(
        ("John Evans", "je@corp.example"), ("John", "je@corp.example"), ("John", "js@home.example"),
        ("John Smith", "js@home.example"), ("Jon Smith", "js@home.example"),
    )  # fmt: skip
    assert merged(seen, {}) == {"Jon Smith": Merge("John Smith", ADDRESS)}
    assert merged(seen[:3], {}) == {"John": Merge("John Evans", ADDRESS)}


def test_bots_are_never_merged():
    """By name or by login; their use of an address still counts."""
    seen = told(
        ("renovate[bot]", "jane@corp.example"), ("Jane Doe", "jane@corp.example"), ("Jane Doe", "@release[bot]"),
        ("Jane Doe [BOT]", "@jane-doe"), ("jane doe [bot]", ""),
    )  # fmt: skip
    assert merged(seen, {}) == {}


def test_overrides_go_before_rules_and_are_followed():
    """From the person that a rule gave, and from one override to the next; back to where a rule came from."""
    seen = told(("jd", "jane@corp.example"), ("Jane Doe", "jane@corp.example"))
    assert merged(seen, {"Jane Doe": "@jane"}) == {"jd": Merge("@jane", ADDRESS), "Jane Doe": Merge("@jane", OVERRIDE)}
    assert merged(seen, {"jd": "@other"}) == {"jd": Merge("@other", OVERRIDE)}
    assert merged(seen, {"Jane Doe": "jd"}) == {"Jane Doe": Merge("jd", OVERRIDE)}
    assert merged(seen, {"@a": "jd"}) == {"@a": Merge("Jane Doe", OVERRIDE), "jd": Merge("Jane Doe", ADDRESS)}
    assert merged([], {"a": "b", "b": "c"}) == {"a": Merge("c", OVERRIDE), "b": Merge("c", OVERRIDE)}


def test_who_is_overridden_to_himself_is_left_alone():
    """Neither merged nor merged into; a name is not merged into another login instead."""
    seen = told(("jd", "jane@corp.example"), ("Jane Doe", "jane@corp.example"), ("Jane Doe", "@jane"))
    assert merged(seen, {"jd": "jd"}) == {"Jane Doe": Merge("@jane", NAME)}
    assert merged(seen, {"Jane Doe": "Jane Doe"}) == {}
    assert merged(seen, {"@jane": "@jane"}) == {"jd": Merge("Jane Doe", ADDRESS)}
    assert merged([*seen, *told(("Jane Doe", "@jane2"))], {"@jane": "@jane"}) == {"jd": Merge("Jane Doe", ADDRESS)}


def test_a_repository_says_only_what_differs_from_everywhere():
    """What holds everywhere is not repeated, is followed, and gives way to the repository's own overrides."""
    seen = told(("jd", "jane@corp.example"), ("Jane Doe", "jane@corp.example"))
    assert beside(seen, {}, {"Jane Doe": "@jane"}) == {"jd": Merge("@jane", ADDRESS)}
    assert beside(seen, {}, {"jd": "jd"}) == {}
    assert beside([], {"a": "a"}, {"a": "b"}) == {"a": Merge("a", OVERRIDE)}
    assert beside([], {"a": "c"}, {"a": "b"}) == {"a": Merge("c", OVERRIDE)}
    assert beside([], {"b": "c"}, {"a": "b"}) == {"a": Merge("c", OVERRIDE), "b": Merge("c", OVERRIDE)}
    assert beside([], {"a": "b"}, {"b": "a"}) == {"a": Merge("b", OVERRIDE), "b": Merge("b", OVERRIDE)}


@given(identities, overrides, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(seen, said, random):
    again = [*seen, *seen]
    random.shuffle(again)
    shuffled = list(said.items())
    random.shuffle(shuffled)
    assert merged(again, dict(shuffled)) == merged(seen, said)


@given(identities, overrides)
def test_there_are_no_chains(seen, said):
    """Nobody is merged into himself, and no person is an alias."""
    found = merged(seen, said)
    assert not {one.person for one in found.values()} & found.keys()


@given(identities, overrides)
def test_overrides_win(seen, said):
    """The rule of an alias is an override just where there is one, and then it is with whom the override names."""
    found = merged(seen, said)
    for alias, one in found.items():
        assert (one.rule == OVERRIDE) == (alias in said)
    standing = {alias: one.person for alias, one in found.items()}
    for alias, person in said.items():
        assert standing.get(alias, alias) == standing.get(person, person)


@given(identities)
def test_rules_merge_names_and_no_logins_or_bots(seen):
    """An alias is a name without a login; it goes to a login of this repository or to another such name."""
    plain = {one.name for one in seen if not one.login and not one.is_bot}
    logins = {f"@{one.login}" for one in seen if one.login and not one.is_bot}
    found = merged(seen, {})
    assert found.keys() <= plain
    assert {one.person for one in found.values()} <= plain | logins


@given(st.sets(st.sampled_from(NAMES), min_size=SHARED_BY + 1), identities)
def test_a_shared_address_is_as_none(names, seen):
    """Whatever else is known: who uses it is merged as if nobody told an address."""
    seen = [one for one in seen if one.address != "pair@corp.example"]
    shared, untold = ([Identity(name, address, "") for name in names] for address in ("pair@corp.example", ""))
    assert merged([*seen, *shared], {}) == merged([*seen, *untold], {})


@given(st.sets(st.sampled_from(LOGINS[:3]), min_size=2), identities)
def test_a_name_of_several_logins_is_never_one_of_them(logins, seen):
    """Whatever else is known, and whatever it shares its addresses with."""
    seen = [*seen, Identity("Jane Doe", "jane@corp.example", ""), *(Identity("Jane Doe", "", one) for one in logins)]
    found = merged(seen, {})
    assert not found.get("Jane Doe", Merge("", "")).person.startswith("@")


@given(identities, overrides, overrides)
def test_a_repository_and_everywhere_agree(seen, own, everywhere):
    """Read one beside the other they have no chains, and an override of the repository always holds."""
    here, there = beside(seen, own, everywhere), merged((), everywhere)

    def person(alias):
        return (here.get(alias) or there.get(alias) or Merge(alias, "")).person

    for alias in {one.name for one in seen} | set(own) | set(own.values()) | set(everywhere) | set(everywhere.values()):
        assert person(person(alias)) == person(alias)
    for alias, whom in own.items():
        assert person(alias) == person(whom)
