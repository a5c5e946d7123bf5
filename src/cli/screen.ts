/** Control, format, private and unpaired characters: what a terminal obeys instead of showing. */
const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu
const hiddenButLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Texts shorter than this are not cut out of messages: too much else would go with them. */
const secretLengthMin = 8

/** Shows hidden characters as the escapes of JSON, so that no terminal obeys them (SEC-337). */
export function showHidden (text: string, { keepLines = false } = {}): string {
  return text.replace(keepLines ? hiddenButLines : hidden, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''))
}

/** Where a command writes. */
export interface Screen {
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean
  /** Writes to standard output as it is, and resolves when it is out. @throws where nobody reads. */
  out (text: string): Promise<void>
  /** Tells a person one sentence, on standard error, without secrets and hidden characters. */
  say (sentence: string): void
  /** From now on this text appears in nothing that is said. */
  hide (secret: string): void
}

export interface Sinks {
  readonly isTerminal: boolean
  readonly writeOut: (text: string) => Promise<void>
  readonly writeError: (text: string) => void
}

export function createScreen ({ isTerminal, writeOut, writeError }: Sinks): Screen {
  const secrets = new Set<string>()
  return {
    isTerminal,
    out: writeOut,
    say (sentence) {
      // The longest first: one may be a part of another.
      const known = [...secrets].sort((a, b) => b.length - a.length)
      const clean = known.reduce((text, secret) => text.replaceAll(secret, '[secret]'), sentence)
      writeError(`latchkey: ${showHidden(clean)}\n`)
    },
    hide (secret) {
      if (secret.length >= secretLengthMin) secrets.add(secret)
    }
  }
}
