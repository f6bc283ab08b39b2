// Milliseconds from the key that answers a pair to the paint of the next pair, in window.shownAfter.
() => {
  window.shownAfter = [];
  const seen = () => [...document.querySelectorAll(".ctv")]
    .find((v) => v.checkVisibility({ visibilityProperty: true }));
  document.addEventListener("keydown", (event) => {
    if (!"123".includes(event.key) || event.repeat) return;
    const start = performance.now(), before = seen();
    const text = document.querySelector("#rs-where").textContent;
    const look = () => {
      const now = seen(), where = document.querySelector("#rs-where");
      if (now && now !== before && now.querySelector("canvas").clientHeight > 100
        && where && where.textContent !== text) {
        // This callback runs just before the paint; the one behind a message just after it.
        const channel = new MessageChannel();
        channel.port1.onmessage = () => window.shownAfter.push(performance.now() - start);
        channel.port2.postMessage(0);
      } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
}
