// Tables in <div class="sortable">: a click on a heading sorts; above them, fields for a text, the most parameters (the column
// "parameters (M)") and a runtime ("RUNTIME, ..." in headings). Without this script they are plain tables.
'use strict';
document.addEventListener('DOMContentLoaded', () => {
  for (const table of document.querySelectorAll('.sortable table')) makeSortable(table);
});

function number(text) {
  return text === '' || text === '-' ? NaN : Number(text.replaceAll(',', ''));
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], rows = [...body.rows];
  const names = heads.map(head => head.textContent.trim());
  const texts = new Map(rows.map(row => [row, [...row.cells].map(cell => cell.textContent.trim())]));
  addSorting(heads, names, body, rows, texts);
  addFilters(table, names, rows, texts);
}

function addSorting(heads, names, body, rows, texts) {
  heads.forEach((head, column) => {
    const numeric = rows.every(row => texts.get(row)[column] === '-' || !isNaN(number(texts.get(row)[column])));
    const button = element('button', {type: 'button'}, ...head.childNodes);
    head.replaceChildren(button);
    head.ariaSort = 'none';
    button.addEventListener('click', () => {
      const sign = head.ariaSort === 'ascending' ? -1 : 1;
      const compare = (a, b) => {
        const [x, y] = [texts.get(a)[column], texts.get(b)[column]];
        if (x === '-' || y === '-') return (x === '-') - (y === '-');  // unknown: last, either way
        return sign * (numeric ? number(x) - number(y) : x.localeCompare(y, 'en', {numeric: true}));
      };
      body.append(...rows.sort(compare));
      for (const other of heads) other.ariaSort = 'none';
      head.ariaSort = sign > 0 ? 'ascending' : 'descending';
    });
  });
}

function addFilters(table, names, rows, texts) {
  const parameters = names.indexOf('parameters (M)');
  const runtimes = [...new Set(names.filter(name => name.includes(', ')).map(name => name.split(', ')[0]))];
  const text = element('input', {type: 'search'}), most = element('input', {type: 'number', min: 0, step: 'any'});
  const runtime = element('select', {}, ...['all', ...runtimes].map(name => new Option(name)));
  const count = element('output');
  const update = () => {
    let shown = 0;
    for (const row of rows) {
      const fits = texts.get(row).join(' ').toLowerCase().includes(text.value.trim().toLowerCase())
        && !(most.value && number(texts.get(row)[parameters]) > Number(most.value));
      row.hidden = !fits;
      shown += fits;
    }
    names.forEach((name, column) => {
      const hidden = runtime.value !== 'all' && name.includes(', ') && !name.startsWith(`${runtime.value}, `);
      for (const row of table.rows) row.cells[column].hidden = hidden;
    });
    count.textContent = `${shown} of ${rows.length}`;
  };
  const controls = element('div', {className: 'sortable-controls'}, element('label', {}, 'Filter ', text));
  if (parameters >= 0) controls.append(element('label', {}, 'Most parameters (M) ', most));
  if (runtimes.length > 1) controls.append(element('label', {}, 'Runtime ', runtime));
  controls.append(count);
  controls.addEventListener('input', update);
  table.closest('.sortable').prepend(controls);
  update();
}
