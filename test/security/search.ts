import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** Places to look through, by what they are called. */
export type Places = ReadonlyMap<string, Buffer>

/** The middle of a text's base64 where it begins at any byte of three, so that what stands around it does not matter. */
function base64Cores (text: string, encoding: 'base64' | 'base64url'): string[] {
  const bytes = Buffer.byteLength(text)
  return [0, 1, 2].map((shift) => {
    const whole = Buffer.from('x'.repeat(shift) + text).toString(encoding)
    return whole.slice(Math.ceil(shift * 4 / 3), Math.floor((shift + bytes) * 4 / 3) - 1)
  })
}

/** A text as it may have been written: in clear, base64, base64url, hex, URL-encoded, escaped. */
export function formsOf (secret: string): string[] {
  const hex = Buffer.from(secret).toString('hex')
  const escaped = [...secret].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  const percent = [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  return [...new Set([
    secret, encodeURIComponent(secret), hex, hex.toUpperCase(), escaped, percent, percent.toUpperCase(), [...secret].reverse().join(''),
    ...base64Cores(secret, 'base64'), ...base64Cores(secret, 'base64url')
  ])]
}

/** Where secrets stand, in any form: `<place> has <name>`. Secrets are named so that a failure shows none. */
export function findSecrets (places: Places, secrets: ReadonlyMap<string, string>): string[] {
  const found = new Set<string>()
  for (const [name, secret] of secrets) {
    for (const form of formsOf(secret)) {
      for (const [place, bytes] of places) if (bytes.includes(form)) found.add(`${place} has ${name}`)
    }
  }
  return [...found]
}

/** All files below a folder. */
export function filesBelow (folder: string): [string, Buffer][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => [path.relative(folder, file), readFileSync(file)])
}
