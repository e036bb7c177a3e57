import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  build: { chunkSizeWarningLimit: 1e5, minify: false },
  define: { 'process.env': {}, global: 'globalThis' },
});
