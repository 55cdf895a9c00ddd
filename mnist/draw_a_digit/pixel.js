// --- The panel of the chosen pixel -----------------------------------------------------------------

/** Read "layer.map.row.column"; undefined where the network has no such pixel. */
function readPixel(text) {
  if (!/^\d{1,7}(\.\d{1,7}){3}$/.test(text)) return undefined;
  const [layer, map, row, column] = text.split(".").map(Number);
  const { maps, height, width } = NETWORK[layer] ?? { maps: 0 };
  return map < maps && row < height && column < width ? { layer, map, row, column } : undefined;
}

function pixelText({ layer, map, row, column }) {
  return [layer, map, row, column].join(".");
}

/** The pixel some steps further, as far as there are pixels and maps. */
function moved({ layer, map, row, column }, { rows = 0, columns = 0, maps = 0 }) {
  const size = NETWORK[layer];
  return {
    layer,
    map: clamp(map + maps, 0, size.maps - 1),
    row: clamp(row + rows, 0, size.height - 1),
    column: clamp(column + columns, 0, size.width - 1),
  };
}

/** Show the pixel in its map, what it sees of the image, and how it was computed. */
function showPixel(pixel, sight, { values, image, theme }) {
  const { layer, map, row, column } = pixel;
  drawMap(pixel, values[layer], theme);
  markSight(sight);
  const name = layer === 0 ? "The image" : `Layer ${layer}, ${mapName(layer, map)}`;
  const where = isSingle(NETWORK[layer]) ? "" : `, row ${row + 1}, column ${column + 1}`;
  const fill = (id, parts) => document.getElementById(id).replaceChildren(...parts);
  fill("map-name", [`${name}${where}: `, html("strong", {}, short(valueOf(pixel, values)))]);
  fill("seen-name", sightWords(sight));
  fill("fact", whyPixel(pixel));
  fill("how", howPixel(pixel, values, image));
  showSliders(pixel);
  for (const figure of document.querySelectorAll(".layer")) {
    figure.classList.toggle("chosen", Number(figure.dataset.layer) === layer);
  }
}

function drawMap({ layer, map, row, column }, values, theme) {
  const { height, width } = NETWORK[layer];
  const own = values.subarray(map * height * width, (map + 1) * height * width);
  paintPixels(document.getElementById("map"), coloursOf(own, mostOf(values), theme), width);
  const mark = document.getElementById("map-mark");
  mark.setAttribute("viewBox", `0 0 ${width} ${height}`);
  mark.replaceChildren(...["halo", "mark"].map((looks) =>
    svg("rect", { x: column, y: row, width: 1, height: 1, class: looks })));
}

/** Outline on the image what the pixel sees, and dim the rest. */
function markSight({ top, left, height, width }) {
  const box = { x: left, y: top, width, height };
  const [outside, ...outlines] = document.getElementById("seen-mark").children;
  const whole = SIDE + 2 * RIM;
  outside.setAttribute("d", `M${-RIM} ${-RIM}h${whole}v${whole}h${-whole}zM${left} ${top}v${height}h${width}v${-height}z`);
  for (const outline of outlines.filter((outline) => outline.matches(".halo, .mark"))) filled(outline, box, []);
}

function buildSight() {
  const marks = document.getElementById("seen-mark");
  marks.setAttribute("viewBox", AROUND);
  marks.append(svg("path", { class: "outside", "fill-rule": "evenodd" }),
    svg("rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "rim" }),
    svg("rect", { class: "halo" }), svg("rect", { class: "mark" }));
  document.querySelector(".sight").style.padding = `${(100 * RIM) / (SIDE + 2 * RIM)}%`;
}

function showSliders({ layer, map }) {
  const show = (id, value, most, words) => {
    const slider = document.getElementById(id);
    Object.assign(slider, { max: most, value });
    slider.setAttribute("aria-valuetext", words);
    document.getElementById(`${id}-told`).textContent = words;
  };
  const last = NETWORK.length - 1;
  const { maps, ofDigits } = NETWORK[layer];
  show("layer", layer, last, `${layer} of ${last}: ${nameOf(layer)}`);
  show("map-number", map, maps - 1, ofDigits ? mapName(layer, map) : `${map + 1} of ${maps.toLocaleString("en")}`);
  document.getElementById("map-number").disabled = maps === 1;
}
