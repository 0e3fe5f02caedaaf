/** What can be clicked. */

export const LINK = "a[*|href],area[href]"; // SVG links of old have xlink:href
export const CLICKABLE =
  `${LINK},button,summary,[type=submit],[type=button],[type=image],` +
  "[role=button],[role=link],[role=menuitem],[role=tab],[role=switch]";
