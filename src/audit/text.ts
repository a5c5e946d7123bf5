import { mayHoldName } from '../core/name-form.ts'
import type { Hash } from './hasher.ts'

/** Characters of a text that stands in clear; what is longer is cut, with a mark. */
const clearLengthMax = 1024

/** ASCII that JSON takes as it is. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
/** Beyond ASCII, what moves or hides text on a terminal or ends a line somewhere: controls, separators, directions. */
const treacherous = /[\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

/**
 * A text in clear as JSON: cut at 1024 characters, one line whatever it holds, well-formed, and
 * without characters that a terminal or a line reader obeys (SEC-264).
 */
export function quote (text: string): string {
  if (text.length <= clearLengthMax && plain.test(text)) return `"${text}"`
  const bounded = text.length > clearLengthMax ? `${text.slice(0, clearLengthMax)}[+${text.length - clearLengthMax}]` : text
  const json = JSON.stringify(bounded)
  return /^[\x20-\x7e]*$/.test(json) ? json : json.replace(treacherous, escape)
}

function escape (char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** A JSON Web Token (RFC 7519): its header is an object, so it begins as `{"` in base64url. */
const webToken = /eyJ[\w-]*\.[\w-]+\.[\w-]*/g

/** A path in clear, but for a token that somebody put into it (SEC-091). */
export function hideTokens (path: string, hash: Hash): string {
  return path.includes('eyJ') ? path.replace(webToken, hash) : path
}

const word = /[\w.-]+/g

/** A text in clear, but for words that may hold a mount's name that rotates (SEC-222). */
export function hideNames (text: string, hash: Hash): string {
  return mayHoldName(text) ? text.replace(word, (each) => mayHoldName(each) ? hash(each) : each) : text
}

/** RFC 3339 section 5.6, date-time. */
const dateTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** Whether a text is an RFC 3339 time, which stands in clear. */
export function isTimestamp (text: string): boolean {
  return text.length >= 20 && text.length <= 35 && dateTime.test(text)
}

/** What a sentence repeats of its caller: between quotes, or a list in brackets; also where they are not closed. */
const repeated = /"((?:[^"\\]|\\.?)*)(?:"|$)|\[([^[\]]*)(?:\]|$)/gs
/** Longest sentence that is looked through. */
const sentenceLengthMax = 4096
/** Shortest text of a request that is searched for; shorter ones are words of every sentence. */
const sentLengthMin = 8

/**
 * An error or a warning, in clear but for what it repeats of its caller's words: what stands in
 * quotes or brackets and is none of our own names, and all that was sent (SEC-260).
 */
export function hideRepeated (
  sentence: string, { names, hash, sent }: { names: ReadonlySet<string>, hash: Hash, sent: readonly string[] }
): string {
  const hide = (word: string): string => word === '' || names.has(word) ? word : hash(word)
  let text = sentence.slice(0, sentenceLengthMax)
    .replace(repeated, (_whole, quoted: string | undefined, list: string | undefined) =>
      quoted !== undefined ? `"${hide(quoted)}"` : `[${(list ?? '').split(' ').map(hide).join(' ')}]`)
  for (const word of sent) {
    if (word.length >= sentLengthMin && text.includes(word)) text = text.replaceAll(word, () => hide(word))
  }
  return text
}
