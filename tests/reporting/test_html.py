from __future__ import annotations

import pytest
from markupsafe import Markup

from detector.reporting.html import Cell, element, joined, page, picture, table
from tests.support.pages import read_page

NASTY = '"><script>alert(1)</script>&'


def test_elements_nest_in_order() -> None:
    assert element("p", "a", element("b", "c"), "d") == "<p>a<b>c</b>d</p>"


def test_text_and_attributes_are_escaped_once() -> None:
    written = element("p", NASTY, title=NASTY)
    assert "<script>" not in written
    found = read_page(written)
    assert found.text == [NASTY]
    assert found.attributes == [("title", NASTY)]
    assert read_page(element("div", written)).text == [NASTY]


def test_attribute_names_may_be_words_of_python_or_hold_hyphens_and_none_leaves_one_out() -> None:
    assert element("p", class_="a", aria_label="b", id=None) == '<p class="a" aria-label="b"></p>'


def test_what_has_no_content_is_not_closed() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_joining_escapes_text_only() -> None:
    assert joined(["<", Markup("<br>"), 1]) == "&lt;<br>1"


@pytest.mark.parametrize("head", [(), ("name", Cell("number", attributes={"class_": "words"}))])
def test_a_table_holds_its_cells_in_rows(head: tuple[object, ...]) -> None:
    found = read_page(table([("a", Cell(1, "th", {"scope": "row"})), ("<b>", 2.5)], head))
    assert found.rows == [*([["name", "number"]] if head else []), ["a", "1"], ["<b>", "2.5"]]
    assert found.tags.count("th") == 1 + len(head)
    assert ("scope", "row") in found.attributes


def test_groups_stand_above_the_headings_they_span() -> None:
    found = read_page(table([(1, 2)], ("a", "b"), groups=[Cell("both", attributes={"colspan": 2})]))
    assert found.rows == [["both"], ["a", "b"], ["1", "2"]]
    assert ("colspan", "2") in found.attributes
    assert ("scope", "colgroup") in found.attributes


def test_a_page_loads_nothing_and_says_so_to_the_browser() -> None:
    html = page(NASTY, "p{color:red}", element("p", "x"), picture(b"png", NASTY))
    found = read_page(html)
    assert html.startswith('<!doctype html><html lang="en">')
    assert "script" not in found.tags
    assert found.links == ["data:image/png;base64,cG5n"]
    assert ("alt", NASTY) in found.attributes
    policy = next(value for name, value in found.attributes if name == "content" and "src" in value)
    assert policy.startswith("default-src 'none'")
