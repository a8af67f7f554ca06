"""The page in Chromium: its controls set, and what its views draw read back."""

MOVE = """(() => {{ const one = document.getElementById("{id}"); one.value = "{value}";
one.dispatchEvent(new Event("{event}", {{bubbles: true}})); }})()"""


def set_to(browser, id_, value, event="change"):
    browser.run(MOVE.format(id=id_, value=value, event=event))


def settled(browser):
    """Wait for two frames, in which the views are drawn."""
    browser.run(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
    )


def text_of(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).textContent")


def points_of(label):
    """The points of a variant in the view over epochs, as a script."""
    return f"charts.by_epoch.data('points').filter(p => p.variant === '{label}')"


def middle_of(browser, view, key):
    """Where on the screen the mark of a checkpoint is that a pointer meets there, scrolled into sight."""
    browser.run(f"document.getElementById('view-{view}').scrollIntoView({{block: 'center'}})")
    settled(browser)
    marks = (
        f"[...document.querySelectorAll('#view-{view} path')].filter(e => e.__data__?.datum?.key === '{key}')"
    )
    middle = "(r => [r.x + r.width / 2, r.y + r.height / 2])(e.getBoundingClientRect())"
    places = browser.run(
        f"{marks}.map(e => ({{at: {middle}, own: document.elementFromPoint(...{middle}) === e}}))"
    )
    return next(place["at"] for place in places if place["own"])


def ringed(browser, view):
    """The checkpoints around which a view draws a ring."""
    items = f"[...document.querySelectorAll('#view-{view} path')].map(e => e.__data__)"
    return browser.run(f"{items}.filter(item => item?.size === 180).map(item => item.datum.key)")


def shown_in(browser, view):
    """What the marks of a view say of themselves; Vega leaves an axis' own words as they were first."""
    marks = f"[...document.querySelectorAll('#view-{view} [aria-label]:not([aria-label*=axis])')]"
    script = f"{marks}.map(e => e.getAttribute('aria-label'))"
    return sorted(browser.run(script))
