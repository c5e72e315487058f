'use strict';
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  for (const element of all('.scripted')) element.hidden = false;

  // Names of pages become links when somebody looks at them: thousands of links would make a large file.
  const base = part => part.querySelector('b').textContent;
  const names = part => part.querySelector('span').textContent.split(' ');
  const full = (part, name) => base(part) + (name === '.' ? '' : name);
  for (const details of all('details')) {
    details.addEventListener('toggle', () => {
      for (const part of all('.rest p:not(.linked)', details)) {
        part.classList.add('linked');
        if (!/^(https?|file):/.test(base(part))) continue;
        const links = names(part).map(name => {
          const link = document.createElement('a');
          link.href = full(part, name);
          link.textContent = name;
          return link;
        });
        part.querySelector('span').replaceChildren(...links.flatMap(link => [link, ' ']));
      }
    });
  }

  // The filter.
  const items = all('.item'), groups = all('.group'), chips = all('.chips button');
  const box = document.querySelector('.tools input'), said = document.querySelector('.shown');
  const texts = new Map();
  const text = item => {
    if (!texts.has(item)) {
      const rest = all('.rest p', item).flatMap(part => names(part).map(name => full(part, name)));
      const links = all('a', item).map(link => link.href);
      const found = [item.textContent, ...links, ...rest].join(' ');
      texts.set(item, found.toLowerCase());
    }
    return texts.get(item);
  };
  const apply = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = chips.filter(chip => chip.getAttribute('aria-pressed') === 'true').map(chip => chip.value);
    let shown = 0;
    for (const item of items) {
      const fits = (!kinds.length || kinds.includes(item.dataset.kind)) && words.every(word => text(item).includes(word));
      item.hidden = !fits;
      shown += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector('.item:not([hidden])');
    said.textContent = words.length || kinds.length ? `${shown} of ${items.length} shown` : '';
  };
  if (box) {
    box.addEventListener('input', apply);
    box.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        box.value = '';
        apply();
      }
    });
    for (const chip of chips) {
      chip.addEventListener('click', () => {
        chip.setAttribute('aria-pressed', chip.getAttribute('aria-pressed') !== 'true');
        apply();
      });
    }
    const toggle = document.querySelector('.unfold');
    toggle.addEventListener('click', () => {
      const open = toggle.getAttribute('aria-pressed') !== 'true';
      toggle.setAttribute('aria-pressed', open);
      for (const details of all('.item details')) details.open = open;
    });
  }

  // Pictures: zoom with the buttons or with Ctrl and the wheel, move by dragging, read a mark by clicking on it.
  for (const figure of all('.zoom')) {
    const pane = figure.querySelector('.pane'), svg = pane.querySelector('svg');
    const picked = figure.querySelector('.picked');
    let scale = 1;
    const zoom = (to, x = pane.clientWidth / 2, y = pane.clientHeight / 2) => {
      const before = svg.getBoundingClientRect().width;
      const left = pane.scrollLeft + x, top = pane.scrollTop + y;
      scale = Math.min(32, Math.max(1, to));
      pane.classList.toggle('zoomed', scale > 1);
      svg.style.minWidth = scale === 1 ? '' : 'calc(max(100%, 46rem) * ' + scale + ')';
      const grown = svg.getBoundingClientRect().width / before;
      pane.scrollLeft = left * grown - x;
      pane.scrollTop = top * grown - y;
    };
    for (const button of all('.zooming button', figure)) {
      button.addEventListener('click', () => zoom(button.value === '0' ? 1 : scale * Number(button.value)));
    }
    pane.addEventListener('wheel', event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const at = pane.getBoundingClientRect();
      zoom(scale * (event.deltaY < 0 ? 1.25 : 0.8), event.clientX - at.left, event.clientY - at.top);
    }, { passive: false });
    pane.addEventListener('click', event => {
      const title = event.target.querySelector(':scope > title') || event.target.parentNode.querySelector(':scope > title');
      picked.textContent = title ? title.textContent : '';
    });
    let from = null;
    pane.addEventListener('pointerdown', event => {
      if (event.pointerType === 'mouse' && event.button === 0) from = [event.clientX + pane.scrollLeft, event.clientY + pane.scrollTop];
    });
    window.addEventListener('pointermove', event => {
      if (from) {
        pane.scrollLeft = from[0] - event.clientX;
        pane.scrollTop = from[1] - event.clientY;
      }
    });
    window.addEventListener('pointerup', () => from = null);
  }
})();
