// Each place once in the results of a search, with the sentence that was found. The theme would fetch
// every page for that, which a browser refuses from file://; the build writes the texts beside this.
// This script comes before Sphinx's, whose search begins when the page is read.
document.addEventListener("DOMContentLoaded", () => {
  const find = Search._performSearch;
  Search._performSearch = (...query) => {
    Search.words = [...query[1], ...query[3]];
    const met = new Set();
    // The best result is the last one. A page says nothing new after a place on it, nor its first heading after the page.
    const kept = find(...query).reverse().filter(([page, , anchor]) => {
      const id = anchor.replace("#", ""), first = window.CTLAB_TEXTS?.[page]?.[0]?.[0], isPage = !id || id === first;
      const place = isPage ? page : `${page}#${id}`;
      if (met.has(place)) return false;
      met.add(place).add(page);
      return true;
    });
    return kept.reverse().map(([page, title, anchor, about, ...more]) => [page, plain(title), anchor, plain(about), ...more]);
  };
  // The index holds titles as HTML, Sphinx shows them as text.
  const plain = (markup) => markup && new DOMParser().parseFromString(markup, "text/html").body.textContent;

  // Some words around the first hit, from the section that was found or from anywhere on its page.
  const extract = (page, anchor) => {
    const texts = window.CTLAB_TEXTS?.[page] ?? [], own = texts.filter(([id]) => anchor && id === anchor);
    for (const [, text] of [...own, ...texts]) {
      const low = text.toLowerCase(), hits = Search.words.map((word) => low.indexOf(word.toLowerCase())).filter((at) => at >= 0);
      if (!hits.length) continue;
      const hit = Math.min(...hits), from = Math.max(0, low.lastIndexOf(" ", Math.max(0, hit - 70)));
      const until = text.indexOf(" ", hit + 110);
      return `${from > 0 ? "… " : ""}${text.slice(from, until < 0 ? undefined : until).trim()}${until < 0 ? "" : " …"}`;
    }
    return texts.length ? `${texts[0][1].slice(0, 180)} …` : "";  // found in its code
  };

  const show = (item) => {
    const link = item.tagName === "LI" && item.querySelector("a[data-score]");
    if (!link || item.querySelector("p, span")) return;  // functions are described already
    const [page, anchor = ""] = link.getAttribute("href").split("#"), words = extract(page.replace(/\.html$/, ""), anchor);
    if (words) item.append(Object.assign(document.createElement("p"), { className: "context", textContent: words }));
  };
  const box = document.querySelector("#search-results");
  new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(show))).observe(box, { childList: true, subtree: true });
});
