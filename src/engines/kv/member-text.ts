const quote = 0x22
const backslash = 0x5c

/**
 * The text of a member's value, cut out of the text of an object as it was sent, so that it can be
 * kept without being parsed (CRY-056); null where the object has no such member. The text must be
 * valid JSON in which no name is given twice: the front has seen to both (SEC-200).
 */
export function memberText (json: string, name: string): string | null {
  const wanted = JSON.stringify(name)
  let at = skipBlank(json, skipBlank(json, 0) + 1)
  while (json.charCodeAt(at) === quote) {
    const nameEnd = endOfString(json, at)
    const valueStart = skipBlank(json, skipBlank(json, nameEnd) + 1)
    const valueEnd = endOfValue(json, valueStart)
    if (isName(json.slice(at, nameEnd), wanted, name)) return json.slice(valueStart, valueEnd)
    at = skipBlank(json, skipBlank(json, valueEnd) + 1)
  }
  return null
}

function isName (text: string, wanted: string, name: string): boolean {
  return text === wanted || (text.includes('\\') && JSON.parse(text) === name)
}

function skipBlank (json: string, start: number): number {
  let at = start
  while (json.charCodeAt(at) <= 0x20) at++
  return at
}

/** The place behind a string's last quote. */
function endOfString (json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let slashes = 0
    while (json.charCodeAt(at - slashes - 1) === backslash) slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return json.length
}

/** The place behind a value, which nests no deeper than the front allows. */
function endOfValue (json: string, start: number): number {
  let depth = 0
  for (let at = start; at < json.length;) {
    const character = json[at]
    if (character === '"') {
      at = endOfString(json, at)
      if (depth === 0) return at
      continue
    }
    if (character === '}' || character === ']') {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (character === '{' || character === '[') {
      depth++
    } else if (depth === 0 && (character === ',' || json.charCodeAt(at) <= 0x20)) {
      return at
    }
    at++
  }
  return json.length
}
