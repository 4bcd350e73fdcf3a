"use strict";
// Keeps the worklist true, sorts and filters it, and gives it and the page of a study their keys.
(() => {
  const find = (id) => document.getElementById(id);
  const isTyping = (event) => event.target.closest("textarea, select, input:not([type=radio], [type=checkbox])");
  const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.altKey);

  const worklist = () => {
    const body = find("rows"), filter = find("filter"), told = find("told"), live = find("live");
    const heads = [...find("work").tHead.rows[0].cells];
    const csrf = document.querySelector("meta[name=csrf]").content;
    const byName = new Intl.Collator(undefined, { numeric: true }).compare;
    let sorted = { column: 0, down: false }, chosen = null, latest = 0;
    let known = new Set([...body.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
    const rows = () => [...body.querySelectorAll("tr[data-key]")];

    const sort = () => {
      const value = (row) => row.cells[sorted.column].dataset.v;
      const isNumber = sorted.column === 0 || sorted.column === 4;
      const compare = (a, b) => (isNumber ? Number(value(a)) - Number(value(b)) : byName(value(a), value(b)));
      const all = rows().sort((a, b) => (sorted.down ? compare(b, a) : compare(a, b)));
      all.forEach((row) => body.append(row));
      heads.forEach((head, place) => {
        if (place === sorted.column) head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    };
    const choose = (row, scroll = true) => {
      rows().forEach((other) => other.classList.toggle("chosen", other === row));
      chosen = row ? row.dataset.key : null;
      if (!row) return;
      const link = row.querySelector("a");
      if (document.activeElement === document.body || document.activeElement.closest("#rows")) link.focus({ preventScroll: true });
      if (scroll) row.scrollIntoView({ block: "nearest" });
    };
    const step = (by) => {
      const all = rows(), place = all.findIndex((row) => row.dataset.key === chosen);
      if (all.length) choose(all[Math.min(Math.max(place + by, 0), all.length - 1)]);
    };
    const load = async () => {
      const turn = ++latest;
      const answer = await fetch("/rows", { method: "POST", body: new URLSearchParams(new FormData(filter)), headers: { "X-CSRF-Token": csrf, Accept: "text/html" } });
      if (answer.status === 401) return location.assign("/login");
      if (!answer.ok || turn !== latest) return undefined;
      body.innerHTML = await answer.text(); // escaped by the server; the policy of the page runs no script in it
      if (sorted.column || sorted.down) sort();
      const all = rows(), come = all.filter((row) => !known.has(row.dataset.key));
      come.forEach((row) => row.classList.add("new"));
      known = new Set([...known, ...all.map((row) => row.dataset.key)]);
      const wanted = new FormData(filter), isFiltered = ["text", "state", "site", "days", "unread"].some((name) => wanted.get(name));
      const isNew = come.length && !isFiltered;
      told.textContent = isFiltered ? `${all.length} shown` : isNew ? `${come.length} new` : told.textContent;
      choose(all.find((row) => row.dataset.key === chosen) || null, false);
      return undefined;
    };

    const keys = {
      ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
      Enter: () => chosen && rows().find((row) => row.dataset.key === chosen).querySelector("a").click(),
      "/": () => find("text").focus(),
    };
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        filter.reset();
        document.activeElement.blur();
        told.textContent = "";
        load();
        return;
      }
      const act = keys[event.key];
      if (!act || !isPlain(event) || isTyping(event) || (event.key === "Enter" && event.target.closest("a, button"))) return;
      event.preventDefault();
      act();
    });
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-key]");
      if (row && !event.target.closest("a") && getSelection().isCollapsed) row.querySelector("a").click();
    });
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.disabled = false;
      button.addEventListener("click", () => {
        sorted = { column, down: sorted.column === column ? !sorted.down : column === 4 };
        sort();
      });
    });
    let typed = 0;
    filter.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(load, 150);
    });
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      load();
    });

    const listen = () => {
      const source = new EventSource("/events");
      const say = (state, text) => {
        live.dataset.state = state;
        live.textContent = text;
      };
      source.addEventListener("open", () => say("on", "live"));
      source.addEventListener("error", () => say("lost", "connecting again"));
      source.addEventListener("change", () => load().catch(() => say("lost", "connecting again")));
      addEventListener("pagehide", () => source.close());
    };
    listen();
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      listen();
      load();
    });
    setInterval(load, 60000); // so that "waited" stays true
  };

  const study = () => {
    const frame = find("result"), form = find("verdict"), agree = find("agree");
    const agreeWithAll = () => form && form.querySelectorAll("input[value=agree]").forEach((choice) => { choice.checked = true; });
    if (agree) {
      agree.hidden = false;
      agree.addEventListener("click", agreeWithAll);
    }
    const keys = { g: agreeWithAll, u: () => find("back").click() };
    // Keys of the viewer work wherever the focus is: the frame names them, and hands on those that it does not know.
    // What is pressed before it has named them is kept. The focus stays where it is, so that nobody's comment is cut.
    const early = [];
    let named = null;
    const handOn = (key) => frame.contentWindow.postMessage({ key }, "*");
    const isOfViewer = (key) => named.has(key.length === 1 ? key.toLowerCase() : key);
    const offer = (event) => {
      const moves = /^(Arrow|Page|Home|End)/.test(event.key);
      if (!frame || (moves && event.target.matches("input[type=radio]"))) return;
      if (!named) early.push(event.key);
      else if (isOfViewer(event.key)) {
        event.preventDefault();
        handOn(event.key);
      }
    };
    document.addEventListener("keydown", (event) => {
      if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      if (!isPlain(event) || isTyping(event)) return;
      const act = keys[event.key.toLowerCase()];
      if (act) act();
      else offer(event);
    });
    addEventListener("message", (event) => {
      if (!frame || event.source !== frame.contentWindow || !event.data) return;
      if (Array.isArray(event.data.keys)) {
        named = new Set(event.data.keys);
        early.splice(0).filter(isOfViewer).forEach(handOn);
      }
      const act = keys[String(event.data.key).toLowerCase()];
      if (act) act();
    });
    if (!frame) return;
    frame.contentWindow.postMessage({ asks: "keys" }, "*"); // it may have named them before anybody listened here
    const colour = () => {
      const { theme } = document.documentElement.dataset;
      if (theme) frame.contentWindow.postMessage({ theme }, "*");
    };
    find("theme").addEventListener("click", colour);
    frame.addEventListener("load", colour);
  };

  if (find("work")) worklist();
  else study();
})();
