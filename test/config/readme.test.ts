import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { settingsTable } from '../../config/settings-table.ts'

const root = path.join(import.meta.dirname, '../..')

t.test('the README shows every setting as the code has it: node config/print-settings.ts prints the table', async (t) => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8')
  const table = readme.split('\n').filter((line) => line.startsWith('| setting |') || line.startsWith('| `LATCHKEY_'))
  t.strictSame(table, settingsTable().split('\n').filter((line) => !line.startsWith('| --- |')))
})
