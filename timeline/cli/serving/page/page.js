// What the views do in the browser beside what NiceGUI does. Names begin with tl: they are the page's own.

document.addEventListener("visibilitychange", () => emitEvent("tl-shown", !document.hidden));

// Who is signed out meanwhile is asked to sign in.
tlWhen(() => window.socket, (socket) => socket.on("connect_error", async () => {
  const answer = await fetch(window.location.href, { method: "HEAD", redirect: "manual" });
  if (answer.type === "opaqueredirect") window.location.reload();
}), Infinity);

// Calls `then` with what `find` finds, once it does: elements come after the script that speaks of them.
function tlWhen(find, then, tries = 400) {
  const found = find();
  if (found) then(found);
  else if (tries > 0) setTimeout(() => tlWhen(find, then, tries - 1), 25);
}

// Lanes: a cursor that is put by pressing or dragging, and drawn without drawing the chart anew.
function tlLanes(id) {
  tlWhen(() => getElement(id)?.chart, (chart) => {
    const host = getElement(id).$el;
    const line = document.createElement("div");
    line.className = "tl-cursor";
    host.appendChild(line);
    const grid = () => chart.getModel()?.getComponent("grid", 0)?.coordinateSystem?.getRect();
    const place = () => {
      const area = grid();
      const x = area && host.tlAt !== undefined ? chart.convertToPixel({ xAxisIndex: 0 }, host.tlAt) : NaN;
      const inside = area && x >= area.x - 1 && x <= area.x + area.width + 1;
      line.style.display = inside ? "block" : "none";
      line.style.left = `${x - 1}px`;
      line.style.height = `${host.clientHeight - 14 - 54}px`;
    };
    host.tlPut = (at) => {
      host.tlAt = at;
      place();
    };
    for (const event of ["rendered", "finished", "datazoom"]) chart.on(event, place);
    let pressed = false;
    const read = (event) => {
      const area = grid();
      const x = Math.min(Math.max(event.offsetX, area.x), area.x + area.width);
      host.tlPut(chart.convertFromPixel({ xAxisIndex: 0 }, x));
      getElement(id).$emit("cursor", host.tlAt);
    };
    const surface = chart.getZr();
    surface.on("mousedown", (event) => {
      // Below the lanes is the bar that zooms.
      pressed = event.offsetY < host.clientHeight - 28;
      if (pressed) read(event);
    });
    surface.on("mousemove", (event) => pressed && read(event));
    surface.on("mouseup", () => (pressed = false));
    surface.on("globalout", () => (pressed = false));
    if (host.tlWanted !== undefined) host.tlPut(host.tlWanted);
  });
}

// Puts the cursor, on the axis of the chart.
function tlPut(id, at) {
  tlWhen(() => getElement(id)?.$el, (host) => {
    host.tlWanted = at;
    host.tlPut?.(at);
  });
}

// A graph is as wide as its place, but not so small that nobody can read it: then it is scrolled.
function tlGraph(id) {
  tlWhen(() => getElement(id)?.$el, (host) => {
    const widen = () => {
      const svg = host.querySelector("svg");
      if (svg) svg.style.minWidth = `${Math.round(svg.viewBox.baseVal.width * 0.55)}px`;
    };
    new MutationObserver(widen).observe(host, { childList: true });
    widen();
  });
}

// Writes values into the nodes of a graph.
function tlValues(id, values) {
  tlWhen(() => getElement(id)?.$el?.querySelector("svg .node") && getElement(id).$el, (host) => {
    for (const [node, text] of Object.entries(values)) {
      const place = host.querySelector(`[id*="flowchart-${node}-"] b`);
      if (place) place.textContent = text;
    }
  });
}

// An editor of expressions: colours, and completion from the words that the server knows (`tlWords`).
const tlWords = {};
async function tlEditor(id, label) {
  const CM = await import("nicegui-codemirror");
  const token = (stream) => {
    if (stream.eatSpace()) return null;
    if (stream.match(/^(#|\/\/).*/)) return "comment";
    if (stream.match(/^"(\\.|[^"\\])*"?/) || stream.match(/^'(\\.|[^'\\])*'?/)) return "string";
    if (stream.match(/^[0-9.]+([eE][+-]?[0-9]+)?(ms|s|m|h|d)?/)) return "number";
    if (stream.match(/^@\w*/)) return "labelName";
    const word = stream.match(/^[A-Za-z_]\w*/);
    if (word) {
      if (["true", "false", "null"].includes(word[0])) return "atom";
      if (["and", "or", "not"].includes(word[0])) return "operatorKeyword";
      return /^\s*\(/.test(stream.string.slice(stream.pos)) ? "keyword" : "propertyName";
    }
    if (stream.match(/^(&&|\|\||[=!<>]=?|[-+*/])/)) return "operator";
    stream.next();
    return null;
  };
  const put = (view, completion, from, to) => {
    const behind = view.state.sliceDoc(to, to + 1) === "(" ? "" : "()";
    const cursor = from + completion.label.length + 1;
    view.dispatch({
      changes: { from, to, insert: completion.label + behind },
      selection: { anchor: cursor },
      userEvent: "input.complete",
    });
  };
  const complete = (context) => {
    const word = context.matchBefore(/@?\w*/);
    if (!word || (word.from === word.to && !context.explicit)) return null;
    const before = context.state.doc.lineAt(context.pos).text.slice(0, context.pos - context.state.doc.lineAt(context.pos).from);
    // Within a text nothing is completed.
    if ((before.replace(/\\./g, "").match(/"/g) || []).length % 2) return null;
    const options = (tlWords[id] || []).map((one) => (one.type === "function" ? { ...one, apply: put } : one));
    return { from: word.from, options, validFor: /^@?\w*$/ };
  };
  const language = CM.StreamLanguage.define({
    name: "timeline",
    token,
    languageData: { autocomplete: complete, commentTokens: { line: "#" } },
  });
  tlWhen(() => getElement(id)?.editor, (view) => {
    const named = CM.EditorView.contentAttributes.of({ "aria-label": label });
    view.dispatch({ effects: CM.StateEffect.appendConfig.of([language, named, CM.EditorView.lineWrapping]) });
    // Tab goes on to the next field, as everywhere else.
    CM.toggleTabFocusMode(view);
    const theme = () => getElement(id)?.setTheme(document.body.classList.contains("body--dark") ? "oneDark" : "basicLight");
    theme();
    new MutationObserver(theme).observe(document.body, { attributeFilter: ["class"] });
  });
}
