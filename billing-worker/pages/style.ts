/** For A4, and for the screen as it will be on paper. No line is cut by a page's end, and each page has the table's head. */
export const STYLE = `
@page { size: A4; margin: 18mm 16mm 20mm; }
* { box-sizing: border-box; }
html { font: 10.5pt/1.45 system-ui, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif; color: #1a1a1a; background: #fff; }
body { margin: 0 auto; max-width: 178mm; padding: 10mm 0; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 10mm; border-bottom: 2px solid #1a1a1a; padding-bottom: 5mm; }
h1 { font-size: 20pt; line-height: 1.15; margin: 0; }
h2 { font-size: 11.5pt; margin: 8mm 0 2mm; }
.number { font-size: 12pt; margin: 1mm 0 0; overflow-wrap: anywhere; }
.state { border: 2px solid currentColor; border-radius: 3px; padding: 1mm 4mm; font-weight: 700; letter-spacing: .08em; text-transform: uppercase; white-space: nowrap; margin: 0; }
.paid { color: #17602c; }
.void { color: #a01616; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1mm 6mm; margin: 6mm 0 8mm; }
dt { color: #555; }
dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 9pt; }
thead { display: table-header-group; }
tfoot { display: table-row-group; }
tr { break-inside: avoid; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid #1a1a1a; padding: 1.5mm 2mm; vertical-align: bottom; }
td { border-bottom: 1px solid #ddd; padding: 1.5mm 2mm; vertical-align: top; overflow-wrap: anywhere; }
tbody th { font-weight: 400; border-bottom: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
th:first-child, td:first-child { padding-left: 0; }
td:first-child { white-space: nowrap; }
td + th { min-width: 45mm; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.note { display: block; color: #555; font-size: 8pt; }
tfoot th, tfoot td { border-bottom: 0; border-top: 2px solid #1a1a1a; font-size: 11pt; font-weight: 700; padding-top: 2.5mm; }
tfoot tr { break-before: avoid; }
section { break-inside: avoid; }
footer { margin-top: 8mm; color: #555; font-size: 8pt; break-inside: avoid; }
.mark { position: fixed; top: 45%; left: 0; right: 0; text-align: center; font-size: 110pt; font-weight: 700; letter-spacing: .1em; text-transform: uppercase; opacity: .09; transform: rotate(-24deg); pointer-events: none; }
@media print { html { font-size: 9.5pt; } body { max-width: none; padding: 0; } table { font-size: 8pt; } }
`;
