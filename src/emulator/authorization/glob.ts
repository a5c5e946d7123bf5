const asterisk = 0x2a
const questionMark = 0x3f
const anyText = -1
const anyCharacter = -2

/** A pattern as UTF-16 units; `*` and `?` that act as wildcards are negative numbers. */
export type Glob = readonly number[]

/** Turns text into a glob. With `wildcards` false, `*` and `?` stand for themselves. */
export function globOf (text: string, wildcards: boolean): Glob {
  return Array.from({ length: text.length }, (_, at) => {
    const unit = text.charCodeAt(at)
    if (!wildcards) return unit
    return unit === asterisk ? anyText : unit === questionMark ? anyCharacter : unit
  })
}

/** The glob with its ASCII capital letters as small ones; the text must be folded likewise. */
export function foldGlob (glob: Glob): Glob {
  return glob.map((unit) => unit >= 0x41 && unit <= 0x5a ? unit + 0x20 : unit)
}

/** ASCII capital letters as small ones, nothing else: what AWS's names are made of. */
export function foldText (text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/**
 * Whether the whole text matches. Only the last `*` is ever tried again, so the time is at most
 * the length of the pattern times the length of the text, whatever the pattern.
 */
export function matchesGlob (glob: Glob, text: string): boolean {
  let at = 0
  let unit = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    const wanted = glob[unit]
    if (wanted === anyText) {
      star = unit++
      resume = at
    } else if (wanted === anyCharacter || wanted === text.charCodeAt(at)) {
      unit++
      at++
    } else if (star >= 0) {
      unit = star + 1
      at = ++resume
    } else {
      return false
    }
  }
  while (glob[unit] === anyText) unit++
  return unit === glob.length
}
