(async () => {
  const faults = [], fault = (...words) => faults.push(words.join(' '));
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  // On a phone, `innerWidth` grows with a page that is too wide.
  const viewport = document.documentElement.clientWidth;
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const fits = when => {
    const width = document.documentElement.scrollWidth;
    if (width > viewport) fault(when, 'the page is', width, 'wide in', viewport);
  };
  fits('at first');

  // The title is all there, and nothing sticks out of the page but what can be scrolled.
  const title = document.querySelector('h1').getBoundingClientRect();
  if (title.left < 0 || title.right > viewport || document.querySelector('h1').scrollWidth > Math.ceil(title.width)) {
    fault('the title is clipped');
  }
  for (const element of all('body *')) {
    if (element.closest('.pane, .rest')) continue;
    const box = element.getBoundingClientRect();
    if (box.right > viewport + 1) fault(element.tagName, element.className, 'sticks out to', box.right);
  }

  // Words of ours are not broken in the middle.
  for (const element of all('h2, h3, nav a, .legend span, .facts span, .verdict, summary, button, .hint, .slow code')) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const match of walker.currentNode.data.matchAll(/[^\s\-\/]{1,20}/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, match.index);
        range.setEnd(walker.currentNode, match.index + match[0].length);
        const tops = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
        if (tops.size > 1) fault('broken in the middle:', match[0]);
      }
    }
  }

  // Text stands out from what is behind it.
  const rgb = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  for (const element of all('h1, h2, small, a, p, .verdict, .alert, code, summary, .faint, button, q')) {
    if (element.closest('svg') || !element.checkVisibility()) continue;
    const [one, other] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) fault(element.tagName, element.className, 'has a contrast of', contrast.toFixed(1));
  }

  // What is folded unfolds and folds again, and names of pages become links.
  for (const details of all('details')) {
    if (details.open) fault('open at first');
    const inside = details.querySelector(':scope > :not(summary)');
    details.querySelector('summary').click();
    if (!details.open || !inside.checkVisibility()) fault('does not unfold:', details.textContent.slice(0, 60));
  }
  await frame();
  await frame();
  fits('unfolded');
  for (const details of all('.item details').filter(details => details.querySelector(':scope > .rest'))) {
    const more = Number(details.querySelector('summary').textContent.replace(/[^\d]/g, ''));
    const links = all('.rest a', details);
    if (links.length !== more) fault(more, 'more pages, and', links.length, 'links');
    if (links.some(link => !/^(https?|file):$/.test(link.protocol))) fault('a link that is none');
  }
  for (const details of all('details')) {
    details.querySelector('summary').click();
    if (details.open) fault('does not fold');
  }

  // The filter shows less, the right things, and then all again.
  const items = all('.item'), shown = () => items.filter(item => !item.hidden);
  const box = document.querySelector('.tools input');
  if (!box.checkVisibility()) fault('no filter');
  const filter = text => {
    box.value = text;
    box.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const last = items.at(-1), word = last ? last.textContent.trim().slice(-24).trim().split(/\s+/).at(-1) : 'x';
  filter(word.toUpperCase());
  if (items.length && !shown().includes(last)) fault('the filter hides what it should show:', word);
  if (shown().some(item => !item.textContent.toLowerCase().includes(word.toLowerCase()) && !item.querySelector('.rest'))) {
    fault('the filter shows what it should hide:', word);
  }
  filter('no page is called so');
  if (shown().length) fault('the filter hides nothing');
  if (items.length && !/^0 of/.test(document.querySelector('.shown').textContent)) fault('the count is not told');
  if (all('.group').some(group => group.checkVisibility())) fault('empty groups stay');
  filter('');
  if (shown().length !== items.length) fault('the filter does not let go');
  for (const chip of all('.chips button')) {
    chip.click();
    if (!shown().length || shown().some(item => item.dataset.kind !== chip.value)) fault('wrong for the kind', chip.value);
    chip.click();
  }
  if (shown().length !== items.length) fault('a kind does not let go');
  const unfold = document.querySelector('.unfold');
  unfold.click();
  if (all('.item details').some(details => !details.open)) fault('not all unfold');
  unfold.click();
  if (all('.item details').some(details => details.open)) fault('not all fold');

  // Pictures grow inside their frame, and tell what is pointed at.
  for (const figure of all('.zoom')) {
    const svg = figure.querySelector('svg'), [closer, , fit] = all('.zooming button', figure);
    const width = () => svg.getBoundingClientRect().width, before = width();
    closer.click();
    closer.click();
    if (width() < 3.9 * before) fault('the picture does not grow');
    fits('zoomed');
    fit.click();
    if (Math.abs(width() - before) > 1) fault('the picture does not shrink');
    const mark = svg.querySelector('title').parentNode;
    const target = mark.tagName === 'g' ? mark.querySelector('rect, path') : mark;
    target.dispatchEvent(new MouseEvent('click', { bubbles: true }));
    if (figure.querySelector('.picked').textContent !== mark.querySelector('title').textContent) fault('a click tells nothing');
  }

  // Nothing of the site runs or is more than text.
  if (typeof hacked !== 'undefined') fault('a script of the site ran');
  if (all('script').length !== 1 || all('img, iframe, object, form').length) fault('markup of the site');
  for (const element of all('*')) {
    for (const { name } of element.attributes) if (name.startsWith('on')) fault('an attribute', name);
  }
  for (const link of all('a')) {
    if (!/^(https?|file):$/.test(link.protocol)) fault('a link to', link.protocol);
  }
  return faults.slice(0, 20);
})()
