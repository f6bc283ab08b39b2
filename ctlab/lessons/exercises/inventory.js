for (const form of document.querySelectorAll("form.ctlab-inventory:not([data-ready])")) {
  form.dataset.ready = "yes";
  const { stage, format, items } = JSON.parse(form.dataset.facts);
  // A fingerprint that needs no secure context: two rounds of multiply and shift, 53 bits.
  const fingerprint = (word) => {
    let a = 0xdeadbeef, b = 0x41c6ce57;
    for (const letter of word) {
      a = Math.imul(a ^ letter.codePointAt(0), 2654435761);
      b = Math.imul(b ^ letter.codePointAt(0), 1597334677);
    }
    a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
    return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const word = form.querySelector(`#${form.id}-word`).value.trim().toLowerCase();
    const person = fingerprint(word);
    const rows = items.map((item) => {
      const chosen = form.querySelector(`input[name="${form.id}-${item}"]:checked`);
      return [format, stage, person, item, chosen.value].join(",");
    });
    const text = ["format_version,stage,person,item,answer", ...rows].join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `ctlab-inventory-${stage}-${person}.csv`;
    link.click();
    for (const why of form.querySelectorAll(".why")) why.hidden = false;
    const said = stage === "after" ? " The answers are now explained beside each option." : "";
    form.querySelector("[role=status]").textContent =
      `Saved as ${link.download}. It holds your answers and no name. Nothing was sent.${said}`;
  });
}
