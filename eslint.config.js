import stylistic from '@stylistic/eslint-plugin'
import tseslint from 'typescript-eslint'

const limits = {
  'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': ['error', { max: 150, skipBlankLines: true, skipComments: true }],
  'max-depth': ['error', 4],
  complexity: ['error', 20]
}

export default tseslint.config(
  { ignores: ['node_modules', '.tap', 'data', 'test/oracle'] },
  ...tseslint.configs.recommended,
  stylistic.configs.customize({ semi: false, quotes: 'single', indent: 2, commaDangle: 'never', braceStyle: '1tbs', arrowParens: true }),
  {
    rules: {
      '@stylistic/space-before-function-paren': ['error', 'always'],
      '@stylistic/max-len': ['error', { code: 120, ignoreComments: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true, ignoreUrls: true }],
      '@stylistic/multiline-ternary': 'off',
      '@stylistic/operator-linebreak': 'off',
      '@stylistic/member-delimiter-style': 'off',
      '@stylistic/max-statements-per-line': ['error', { max: 2 }],
      '@stylistic/quote-props': 'off',
      '@stylistic/indent-binary-ops': 'off',
      '@stylistic/generator-star-spacing': 'off',
      '@stylistic/yield-star-spacing': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'secrets and jitter come from node:crypto' }],
      eqeqeq: 'error'
    }
  },
  { files: ['src/**', 'plugins/**', 'config/**', 'deploy/**'], rules: limits },
  { files: ['test/**'], rules: { 'no-restricted-properties': 'off', '@stylistic/max-len': 'off' } }
)
