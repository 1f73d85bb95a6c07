// Before and after: one picture, a line between them to drag, the whole original while a button is held.

let split = 0.5;                             // where the line stands, from 0 (left) to 1

function splitAt() { return split * main.width; }

function drawWipe() {
  const context = sized(main);
  context.clearRect(0, 0, main.width, main.height);
  if (!photo) return;
  const f = frameIn(main), at = holding ? main.width : splitAt(), ratio = devicePixelRatio || 1;
  paint(context, lit(), f);
  context.save();
  context.beginPath();
  context.rect(0, 0, at, main.height);
  context.clip();
  paint(context, photo.bitmap, f);
  context.restore();
  if (holding) return;
  const middle = main.height / 2;
  context.lineWidth = 4 * ratio;
  context.strokeStyle = 'rgba(0,0,0,.35)';
  context.beginPath();
  context.moveTo(at, 0);
  context.lineTo(at, main.height);
  context.stroke();
  context.lineWidth = 2 * ratio;
  context.strokeStyle = '#fff';
  context.stroke();
  context.beginPath();
  context.arc(at, middle, 18 * ratio, 0, 7);
  context.fillStyle = 'rgba(20,20,20,.75)';
  context.fill();
  context.stroke();
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(at + side * 5 * ratio, middle - 5 * ratio);
    context.lineTo(at + side * 10 * ratio, middle);
    context.lineTo(at + side * 5 * ratio, middle + 5 * ratio);
  }
  context.stroke();
}

const nearSplit = (x) => Math.abs(x - splitAt()) < 24 * (devicePixelRatio || 1);
function moveSplit(x) { split = clamp(x, 0.02, 0.98); render(); }
