// Strips of images, and how they are put on canvases.

import { sequential } from "./colours.js";

/** Where a canvas is drawn on, which is read again to lay maps over it. */
export function pen(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** Images that stand side by side in a PNG in base64. */
export class Strip {
  constructor(bitmap, count) {
    this.bitmap = bitmap;
    this.width = bitmap.width / count;
  }

  static async read(base64, count) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return new Strip(await createImageBitmap(new Blob([bytes], { type: "image/png" })), count);
  }

  /** Draws one of them over a canvas. */
  draw(canvas, number) {
    const { width, bitmap } = this;
    if (canvas.width !== width || canvas.height !== bitmap.height) {
      canvas.width = width;
      canvas.height = bitmap.height;
    }
    const context = pen(canvas);
    context.clearRect(0, 0, width, bitmap.height);
    context.drawImage(bitmap, number * width, 0, width, bitmap.height, 0, 0, width, bitmap.height);
    return context;
  }
}

/** Maps of uncertainty, of which white means `brightest`. */
export class MapStrip {
  constructor(strip, brightest) {
    this.strip = strip;
    this.brightest = brightest;
  }

  static async read({ maps, brightest }, count) {
    return new MapStrip(await Strip.read(maps, count), brightest);
  }

  /** Draws one in colours, of which the brightest means `most`. */
  draw(canvas, number, most, opacity = 1) {
    const context = this.strip.draw(canvas, number);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    const { data } = image;
    for (let place = 0; place < data.length; place += 4) {
      const share = (data[place] / 255) * (this.brightest / most);
      data.set(sequential(share), place);
      data[place + 3] = 255 * opacity;
    }
    context.putImageData(image, 0, 0);
  }
}
