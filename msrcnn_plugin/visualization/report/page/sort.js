// A click on a column's head sorts its table; a second one turns the order. What is undefined stays last.
'use strict';
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const isNumber = (column) => [...body.rows].some((row) => 'key' in row.cells[column].dataset);
  const compare = (column, numeric, sign) => (first, second) => {
    const [a, b] = [first, second].map((row) => row.cells[column]);
    if (!numeric) return sign * a.textContent.localeCompare(b.textContent, undefined, {numeric: true});
    const [x, y] = [a.dataset.key || '', b.dataset.key || ''];
    if (x === '' || y === '') return (x === '') - (y === '');
    return sign * (Number(x) - Number(y));
  };
  heads.forEach((head, column) => {
    const button = head.querySelector('button');
    if (!button) return;
    const numeric = isNumber(column);
    head.classList.toggle('number', numeric);
    button.addEventListener('click', () => {
      const before = head.getAttribute('aria-sort');
      const first = numeric ? 'descending' : 'ascending';
      const other = numeric ? 'ascending' : 'descending';
      const order = before === first ? other : first;
      heads.forEach((cell) => cell.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', order);
      const rows = [...body.rows].sort(compare(column, numeric, order === 'ascending' ? 1 : -1));
      body.append(...rows);
    });
  });
}
