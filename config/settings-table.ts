import { settings, type Setting } from './settings.ts'

/**
 * Every setting as a table in Markdown, one line each, in the order of the list: what the README
 * shows. A test holds the two together.
 */
export function settingsTable (): string {
  const rows = Object.values(settings).map(({ name, fallback, meaning }: Setting<unknown>) =>
    [`\`${name}\``, fallback === null || fallback === '' ? '' : `\`${fallback}\``, meaning])
  return [['setting', 'default', 'meaning'], ['---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
}
