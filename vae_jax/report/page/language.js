// The language of the page, as in language.py: English stands where it is used, and the page has its translations, and
// the nouns that stand for {image}, {images} and {an_image}.
"use strict";

const _ = (() => {
  const translations = JSON.parse(document.getElementById("translations").textContent);

  // A text with its {names} filled in.
  return (text, values = {}) =>
    (translations[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => `${values[name] ?? translations[whole] ?? whole}`);
})();
