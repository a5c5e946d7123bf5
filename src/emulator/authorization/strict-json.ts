const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g
const afterKey = /\s*:/y

/**
 * JSON.parse that also refuses a key that stands twice in one object (AWS: policy grammar notes).
 * null: not JSON, or such a key.
 */
export function findStrictJson (text: string): { readonly value: unknown } | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  return hasDuplicateKey(text) ? null : { value }
}

function hasDuplicateKey (validJson: string): boolean {
  const open: Set<string>[] = []
  for (const match of validJson.matchAll(token)) {
    const [text] = match
    if (text === '{' || text === '[') {
      open.push(new Set())
    } else if (text === '}' || text === ']') {
      open.pop()
    } else {
      afterKey.lastIndex = match.index + text.length
      if (!afterKey.test(validJson)) continue
      const key = String(JSON.parse(text))
      if (open.at(-1)?.has(key) === true) return true
      open.at(-1)?.add(key)
    }
  }
  return false
}
