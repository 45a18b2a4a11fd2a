// The page's state in the URL's hash, `#draws=mixture&weight=0.5`: a link to the page as a reader has set it.
"use strict";

const Hash = (() => {
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  // The value of a name, or null.
  const get = (name) => read().get(name);

  // Two numbers, `0.40,-1.25`, or null.
  function getPlace(name) {
    const place = (get(name) ?? "").split(",").map(Number);
    return place.length === 2 && place.every(Number.isFinite) ? place : null;
  }

  // Puts values into the hash, null removes one. It makes no entry in the history.
  function set(values) {
    const found = read();
    for (const [name, value] of Object.entries(values)) {
      if (value === null) found.delete(name);
      else found.set(name, value);
    }
    history.replaceState(null, "", `#${found.toString().replaceAll("%2C", ",")}`);
  }

  const place = ([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`;

  return { get, getPlace, set, place };
})();
