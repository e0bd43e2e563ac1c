// Runs also where modules do not: in a file that is opened without a server, and in old browsers.
addEventListener('DOMContentLoaded', () => {
  if (location.protocol === 'file:') {
    document.getElementById('title').textContent = 'This page needs a server';
    document.getElementById('status').textContent =
      'Browsers load no WebAssembly from files. In this folder run: python -m http.server 8000, and open http://localhost:8000';
  }
});
