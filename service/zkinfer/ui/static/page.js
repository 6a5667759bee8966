"use strict";

// The page works without this script: it adds live progress, dropping of files, and drawing.

function follow(list) {
  const announce = document.getElementById("announce");
  const stream = new EventSource(list.dataset.events);
  stream.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    const line = document.getElementById(`line-${event.line}`);
    line.dataset.state = event.state;
    line.querySelector(".state").textContent = event.word;
    line.querySelector(".detail").textContent = event.detail;
    if (event.state === "passed" || event.state === "failed") {
      announce.textContent = `${line.querySelector(".claim").textContent}: ${event.word}`;
    }
  });
  const reload = () => { stream.close(); location.reload(); };
  stream.addEventListener("done", reload);
  stream.addEventListener("error", () => { stream.close(); setTimeout(reload, 2000); });
}

// Where a dropped file belongs, by its name; the first that matches.
const PLACES = [
  [/\.onnx$/i, "model"],
  [/\.(pub|pem)$/i, "signer"],
  [/\.(npz|csv)$/i, "input"],
  [/manifest.*\.json$/i, "circuit"],
  [/policy.*\.json$/i, "policy"],
  [/(input|image).*\.json$/i, "input"],
  [/\.json$/i, "attestation"],
  [/\.json$/i, "contributions"],
  [/./, "content"],
];

function put(form, file) {
  const place = PLACES.find(([pattern, name]) => pattern.test(file.name) && form.elements[name]);
  if (!place) return;
  const holder = new DataTransfer();
  holder.items.add(file);
  const input = form.elements[place[1]];
  input.files = holder.files;
  input.closest("details")?.setAttribute("open", "");
}

function accept(form) {
  const problem = form.querySelector(".problem");
  const over = (on) => form.classList.toggle("over", on);
  form.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) over(false); });
  form.addEventListener("drop", (event) => {
    over(false);
    if (event.target.type === "file" && event.dataTransfer.files.length === 1) return;
    event.preventDefault();
    for (const file of event.dataTransfer.files) put(form, file);
  });
  form.addEventListener("submit", (event) => {
    let size = 0;
    for (const input of form.querySelectorAll("input[type=file]")) for (const file of input.files) size += file.size;
    problem.hidden = size <= Number(form.dataset.limit);
    problem.textContent = problem.hidden ? "" : form.dataset.tooLarge;
    if (!problem.hidden) event.preventDefault();
  });
}

function drawable(area) {
  const canvas = document.getElementById("canvas");
  const seen = document.getElementById("preview").getContext("2d");
  const field = document.getElementById("pixels");
  const samples = document.querySelector(".samples");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;
  area.hidden = false;

  const clear = () => {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    seen.fillStyle = "#fff";
    seen.fillRect(0, 0, 8, 8);
    field.value = "";
    samples.classList.remove("unused");
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const stroke = (to) => {
    Object.assign(pen, { strokeStyle: "#000", lineWidth: 26, lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...(last ?? to));
    pen.lineTo(...to);
    pen.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = null;
    stroke(place(event));
  });
  canvas.addEventListener("pointermove", (event) => { if (last) stroke(place(event)); });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      if (!last) return;
      last = null;
      const levels = reduce(pen, canvas.width);
      levels.forEach((level, at) => {
        const shade = 255 - Math.round((255 * level) / 16);
        seen.fillStyle = `rgb(${shade} ${shade} ${shade})`;
        seen.fillRect(at % 8, Math.floor(at / 8), 1, 1);
      });
      field.value = levels.join(",");
      samples.classList.add("unused");
    });
  }
  document.getElementById("clear").addEventListener("click", clear);
  samples.addEventListener("change", clear);
  clear();
}

// As the samples were made: the ink's box is fitted into 32 by 32 bits, and each pixel counts 4 by 4 of them.
function reduce(pen, side) {
  const image = pen.getImageData(0, 0, side, side).data;
  const ink = (x, y) => image[4 * (Math.floor(y) * side + Math.floor(x))] < 128;
  let [left, right, top, bottom] = [side, -1, side, -1];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (!ink(x, y)) continue;
      left = Math.min(left, x); right = Math.max(right, x);
      top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
  }
  const longest = Math.max(right - left, bottom - top) + 1;
  const [x0, y0] = [(left + right + 1 - longest) / 2, (top + bottom + 1 - longest) / 2];
  const levels = new Array(64).fill(0);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      const [fromX, fromY] = [x0 + ((x + 0.5) * longest) / 32, y0 + ((y + 0.5) * longest) / 32];
      const inside = fromX >= 0 && fromX < side && fromY >= 0 && fromY < side;
      if (inside && ink(fromX, fromY)) levels[8 * Math.floor(y / 4) + Math.floor(x / 4)] += 1;
    }
  }
  return levels;
}

document.querySelectorAll("[data-events]").forEach(follow);
document.querySelectorAll("[data-drop]").forEach(accept);
document.querySelectorAll("[data-drawing]").forEach(drawable);
