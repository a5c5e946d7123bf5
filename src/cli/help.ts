import type { Command } from './commands.ts'
import { variables } from './settings.ts'

/** The help of the whole: every command, every variable, every exit code. */
export function overview (commands: readonly Command[]): string {
  return [
    'usage: latchkey <command> [options]',
    '',
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    'latchkey <command> --help tells more.',
    '',
    'environment:',
    ...columns(Object.entries(variables)),
    '',
    'Where LATCHKEY_ADDR is not set, BAO_ADDR, BAO_TOKEN and BAO_CACERT are used if BAO_ADDR is, else the same of VAULT_.',
    '',
    'exit codes: 0 done, 1 failed, 2 wrong options or settings, 3 refused by the broker, 4 nothing is there,',
    '5 the broker is not available. exec and sidecar end with the code of the command that they run.',
    ''
  ].join('\n')
}

/** The help of one command. */
export function helpOf ({ name, operands, child, options, summary, notes }: Command): string {
  const command = { none: '', optional: ' [-- command]', required: ' -- command' }[child]
  const shown = Object.entries(options).map(([option, { value, meaning }]): [string, string] =>
    [`--${option}${value === undefined ? '' : ` <${value}>`}`, meaning])
  return [
    `usage: latchkey ${name} [options]${operands === '' ? '' : ` ${operands}`}${command}`,
    '',
    ...fold(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`),
    '',
    ...columns(shown),
    ...notes.flatMap((note) => ['', ...fold(note)]),
    ''
  ].join('\n')
}

const widthMax = 110

function columns (rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`)
}

function fold (text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + 1 + word.length > widthMax) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
